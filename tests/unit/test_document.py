"""The JSON document: valid by its schema, lossless, without infinities."""

import json
import math
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from support.comparisons import Given, change, live, lognormal, runs
from support.spending import priced

from analyzers.cost import Cost
from analyzers.errors import Errors
from analyzers.speedup import Speedup
from analyzers.throughput import Throughput
from nibai.audit import run_audit
from nibai.document import decode, dumps, encode, from_document, to_document
from nibai.model import Estimate, Verdict

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "audit.schema.json").read_text(encoding="utf-8")
)
ANALYZERS = {"errors": Errors(), "speedup": Speedup(), "throughput": Throughput(), "cost": Cost()}


def audit(comparison, *claims):
    return run_audit(
        priced(change(*claims), (1.0, 0.5)), Given(latency=comparison), ANALYZERS, audit_id="a1",
        created_at=1_750_000_000.25, version="0.0.0",
    )  # fmt: skip


def failing(seed, n):
    values = lognormal(seed, n)
    values[::4] = np.inf
    return values


AUDITS = {
    "confirmed": lambda: audit(live(lognormal(1, 9000), lognormal(2, 9000, 0.03)), "2x faster"),
    "partly": lambda: audit(
        live(lognormal(1, 9000), lognormal(2, 9000, 0.03)), "2x faster at p50", "9x faster at p50"
    ),
    "censored": lambda: audit(live(lognormal(1, 4000), failing(2, 4000)), "2x faster at p90"),
    "not judged": lambda: audit(
        live(lognormal(1, 400), lognormal(2, 400)), "same output mix within 1%"
    ),
    "cost": lambda: audit(live(lognormal(1, 400), lognormal(2, 400)), "cost at most 0.6x"),
    "nothing": lambda: audit(live(np.zeros(0), np.zeros(0)), "2x faster"),
    "no comparison": lambda: audit(None, "2x faster for a=b, errors up at most 1pp"),
    "runs": lambda: audit(
        runs([lognormal(i, 300) for i in range(5)], [lognormal(9 + i, 300) for i in range(5)]),
        "2x faster, errors up at most 1pp", "2x more throughput",
    ),
    "segments": lambda: audit(
        live({"a=x": lognormal(1, 4000), "a=y": lognormal(2, 4000, 1)},
             {"a=x": lognormal(3, 6000), "a=y": lognormal(4, 2000, 1)}),
        "not slower", "2x faster at p50 for a=x",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", AUDITS)
def test_every_audit_is_valid_by_the_schema_and_comes_back_whole(name):
    made = AUDITS[name]()
    text = dumps(made)
    document = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert dumps(from_document(document)) == text
    assert to_document(from_document(document)) == document


def test_the_verdicts_of_the_samples_are_what_their_names_say():
    assert AUDITS["confirmed"]().verdict is Verdict.CONFIRMED
    assert AUDITS["partly"]().verdict is Verdict.PARTLY
    assert AUDITS["not judged"]().verdict is Verdict.NOT_COMPARABLE
    assert AUDITS["nothing"]().verdict is Verdict.INCONCLUSIVE


def test_a_refuted_part_among_several_needs_its_share_of_alpha():
    """Holm: what refutes alone at 2.5 % does not refute as one of three."""
    found = audit(
        live(lognormal(1, 9000), lognormal(2, 9000, 0.03)), "2x faster, same output mix within 1%"
    )
    assert found.sentences[0].verdict is Verdict.INCONCLUSIVE
    assert "no installed analyzer answers this" in found.reason.text


def test_another_schema_is_refused():
    with pytest.raises(ValueError, match=r"nibai\.audit/1"):
        from_document({"schema": "other/1"})


def test_infinities_are_null_and_come_back_as_unknown():
    assert encode(Estimate(2.0, None, math.inf, 0.95))["high"] is None
    assert decode(Estimate, {"value": 2.0, "low": None, "high": 3.0, "level": 0.95}) == Estimate(
        2.0, None, 3.0, 0.95
    )
