"""Claim sentences are printed as what parses to the same, and their names tell them apart."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from support.any_text import text

from nibai.claims import claim_name, parse, print_claim, print_sentence
from nibai.errors import UsageError
from nibai.model import Sentence

WORDS = [
    "2x", "1.5x", "5%", "0.00001pp", "12345678901x", "0x", "faster", "slower", "not", "no", "more",
    "than", "cheaper", "throughput", "cost", "at", "most", "errors", "up", "same", "predictions",
    "output", "mix", "accuracy", "down", "json", "validity", "within", "for", "raw", "and", ",",
    "=", "p50", "p99.9", "p99.99999999999", "p100", "p0", "median", "ttft", "model", '"a b"', '""',
    "8x7b", "4x-foo", "猫", "\x1b", "×",
]  # fmt: skip
sentences = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)


@given(sentences | text(max_size=30))
def test_what_parses_is_printed_as_what_parses_to_the_same(sentence):
    try:
        parts = parse(sentence).parts
    except UsageError:
        return
    assert parse(print_sentence(parts)).parts == parts
    for part in parts:
        assert parse(print_claim(part)).parts == (part,)


@given(text(min_size=1), text())
def test_any_segment_can_be_claimed_of(name, value):
    (claim,) = parse("2x faster at p50").parts
    claim = replace(claim, segment=(name, value))
    assert parse(print_claim(claim)).parts == (claim,)


@given(text(max_size=12), text(max_size=12))
def test_segments_of_different_values_have_different_names(one, other):
    (claim,) = parse("2x faster at p50").parts
    names = {
        value: claim_name(Sentence("", (replace(claim, segment=("model", value)),)))
        for value in (one, other)
    }
    assert len({*names.values()}) == len(names)
