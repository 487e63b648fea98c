"""Claim sentences parse, print and complain as the grammar says."""

from pathlib import Path

import pytest

from nibai.claims import EXAMPLES, parse, print_claim
from nibai.errors import UsageError
from nibai.model import Promise

GOOD = {
    "2x faster": ["2x faster at p50", "2x faster at p90", "2x faster at p99"],
    "2× faster at median": ["2x faster at p50"],
    "2 x faster at p50, p90 and p99": [
        "2x faster at p50",
        "2x faster at p90",
        "2x faster at p99",
    ],
    "2x faster at p50, p90, and p99.9": [
        "2x faster at p50",
        "2x faster at p90",
        "2x faster at p99.9",
    ],
    "30% faster at p50": ["1.3x faster at p50"],
    "no more than 5% slower at p99": ["no more than 5% slower at p99"],
    "NOT slower at p99": ["not slower at p99"],
    "2x more throughput": ["2x more throughput"],
    "1.5x more throughput within 10%": ["1.5x more throughput within 10%"],
    "2x cheaper": ["2x cheaper"],
    "cost at most 0.6x": ["cost at most 0.6x"],
    "errors up at most 0.1pp": ["errors up at most 0.1pp"],
    "same predictions within 2%": ["same predictions within 2%"],
    "same output mix": ["same output mix"],
    "accuracy down at most 1pp": ["accuracy down at most 1pp"],
    "same JSON validity": ["same JSON validity"],
    "ttft 2x faster at p50 and tpot not slower at p99": [
        "ttft 2x faster at p50",
        "tpot not slower at p99",
    ],
    "2x faster within 5% at p50 for model=chat, same predictions": [
        "2x faster within 5% at p50 for model=chat",
        "same predictions",
    ],
    "2x faster at p50 for model=chat within 5%": ["2x faster within 5% at p50 for model=chat"],
    '2x faster at p99 for tenant="big co, inc"': ['2x faster at p99 for tenant="big co, inc"'],
    "2x faster at p50 and p99 and errors up at most 0.1pp": [
        "2x faster at p50",
        "2x faster at p99",
        "errors up at most 0.1pp",
    ],
}


@pytest.mark.parametrize("text", GOOD)
def test_a_sentence_splits_into_its_parts(text):
    assert [print_claim(part) for part in parse(text).parts] == GOOD[text]


@pytest.mark.parametrize("text", [*GOOD, *EXAMPLES])
def test_a_printed_part_parses_to_the_same_claim(text):
    for part in parse(text).parts:
        assert parse(print_claim(part)).parts == (part,)


def test_a_claim_without_metric_takes_the_default_metric():
    part = parse("2x faster at p50", default_metric="ttft").parts[0]
    assert part.metric == "ttft"
    assert not part.metric_named
    assert print_claim(part) == "2x faster at p50"


def test_percentages_become_shares():
    assert parse("errors up at most 0.1pp").parts[0].amount == pytest.approx(0.001)
    assert parse("no more than 5% slower at p50").parts[0].amount == pytest.approx(0.05)
    assert parse("2x faster within 5% at p50").parts[0].margin == pytest.approx(0.05)
    assert parse("cost at most 0.6x").parts[0].promise is Promise.COST_AT_MOST


BAD = [
    "",
    "fast",
    "2x fastr at p50",
    "2 faster",
    "0x faster",
    "2pp faster",
    "2x faster at p0",
    "2x faster at 99",
    "2x faster at",
    "2x faster within 5",
    "2x faster for model",
    "2x faster at p50 at p99",
    "2x faster p50",
    "no more than 5x slower",
    "no more than 5% faster",
    "errors up at most 1%",
    "errors up at most 1pp at p50",
    "same same",
    "2x more speed",
    "latency",
    "2x faster and",
    "2x faster;",
    "p99 2x faster",
]


def test_every_complaint_points_at_the_word(golden):
    complaints = []
    for text in BAD:
        with pytest.raises(UsageError) as caught:
            parse(text)
        complaints.append(f"--- {text!r}\n{caught.value}\n")
    golden("claim_errors.txt", "\n".join(complaints))


def test_every_claim_in_the_manual_parses():
    page = (Path(__file__).parents[2] / "docs" / "claims.md").read_text(encoding="utf-8")
    examples = page.split("```claim\n")[1].split("```")[0].splitlines()
    assert len(examples) > 10
    for example in examples:
        parse(example)


def test_the_complaint_shown_in_the_manual_is_the_real_one():
    page = (Path(__file__).parents[2] / "docs" / "claims.md").read_text(encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        parse("2x fastr at p50")
    assert str(caught.value).split("\nthese parse")[0] in page
