"""Spans read column by column are what protobuf's own decoder makes of them, one by one."""

import random

import numpy as np
import pytest
from support import otlp_wire

from collector.otlp import spans as otlp_spans
from collector.otlp.rows import Mapper
from collector.otlp.schema import MalformedError
from collector.otlp.shapes import Spans
from collector.otlp.span_columns import _Likeness
from collector.otlp.spans import read_spans


def read(raws, wanted, few, monkeypatch):
    """(start, end, signature) of each span and all answers; None when a span is none."""
    monkeypatch.setattr(otlp_spans, "FEW", few)
    spans = Spans([{}, {}], [len(raws) // 2, len(raws) - len(raws) // 2])
    try:
        read_spans(raws, wanted, spans)
    except MalformedError:
        return None
    groups = spans.groups
    told = [
        (int(start), int(end), groups[group])
        for start, end, group in zip(spans.starts, spans.ends, spans.group, strict=True)
    ]
    return repr((told, sorted(spans.answers, key=lambda answer: answer[0])))


def sound(raws, wanted, monkeypatch):
    """The spans that are ones."""
    return [raw for raw in raws if read([raw], wanted, 2, monkeypatch) is not None]


def compare(seeds, monkeypatch):
    """Random requests both ways; the part of spans that columns read."""
    wanted = Mapper().wanted
    read_in_columns = total = 0
    plain = otlp_spans._read

    def counted(*given):
        nonlocal read_in_columns
        read_in_columns -= 1
        plain(*given)

    for seed in seeds:
        dice = random.Random(seed)
        pool = [otlp_wire.span(dice) for _ in range(dice.choice((1, 3, 12)))]
        if dice.random() < 0.6:
            pool = sound(pool, wanted, monkeypatch)
        raws = [dice.choice(pool) for _ in range(dice.randrange(40))] if pool else []
        expected = read(raws, wanted, len(raws) + 1, monkeypatch)
        with monkeypatch.context() as patched:
            patched.setattr(otlp_spans, "_read", counted)
            found = read(raws, wanted, 0, monkeypatch)
        assert found == expected, f"seed {seed}"
        if found is not None:
            read_in_columns += len(raws)
            total += len(raws)
    return read_in_columns / total


def test_columns_say_what_the_decoder_says(monkeypatch):
    assert compare(range(100), monkeypatch) > 0.4


@pytest.mark.slow
def test_columns_say_what_the_decoder_says_of_many(monkeypatch):
    assert compare(range(1000, 12_000), monkeypatch) > 0.4


def test_more_spans_than_are_read_at_once_keep_their_order(monkeypatch):
    dice = random.Random(7)
    wanted = Mapper().wanted
    raws = sound([otlp_wire.span(dice) for _ in range(60)], wanted, monkeypatch) * 4
    monkeypatch.setattr(otlp_spans, "MANY", 50)
    assert read(raws, wanted, 0, monkeypatch) == read(raws, wanted, 1000, monkeypatch)


def test_likenesses_of_any_number_of_values_stay_apart():
    dice = np.random.default_rng(3)
    columns = dice.integers(0, 3, (40, 200)) * (dice.random((40, 1)) < 0.8)
    likeness = _Likeness(np.zeros(200, np.int64), 1)
    for values in columns:
        likeness.distinguish(values, 100_000)
    rows = list(map(tuple, columns.T))
    same = [[one == other for other in rows] for one in rows]
    assert ((likeness.codes[:, None] == likeness.codes) == np.array(same)).all()
