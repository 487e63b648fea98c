"""The audit: every part to one analyzer, every sentence one verdict, and honest about the rest."""

from dataclasses import replace

import pytest
from support.comparisons import Given, change, live, lognormal
from support.pairs import Pairs
from support.pairs import sample as pairs_of

from analyzers.errors import Errors
from analyzers.predictions import Predictions
from analyzers.speedup import build as speedup
from nibai.audit import judge, run_audit
from nibai.conventions import NOT_MEASURED
from nibai.model import ChangeKind, ReasonCode, Verdict

TWICE = Given(latency=live(lognormal(1, 60_000), lognormal(2, 60_000, median=0.05)))


def audited(*claims, windows=TWICE, analyzers=None, **options):
    chosen = {"speedup": speedup({}), "errors": Errors()} if analyzers is None else analyzers
    return run_audit(
        change(*claims), windows, chosen, audit_id="a1", created_at=5.0, version="9", **options
    )


def test_identity_and_time_are_those_given():
    audit = audited("1.5x faster at p50")
    assert (audit.id, audit.created_at, audit.nibai_version) == ("a1", 5.0, "9")
    assert audit.verdict is Verdict.CONFIRMED
    assert audit.reason == audit.findings[0].reason
    assert (audit.baseline.requests, audit.candidate.requests) == (60_000, 60_000)


def test_times_that_count_from_the_start_of_a_run_are_no_dates():
    assert audited("1.5x faster at p50").baseline.from_seconds is None


def test_two_sentences_that_differ_are_partly_and_tallied():
    audit = audited("1.5x faster at p50", "4x faster at p50")
    assert [result.verdict for result in audit.sentences] == [Verdict.CONFIRMED, Verdict.REFUTED]
    assert audit.verdict is Verdict.PARTLY
    assert audit.reason.code is ReasonCode.OTHER_SENTENCES
    assert audit.reason.text == "“1.5x faster at p50” confirmed; “4x faster at p50” refuted"


def test_the_part_that_decides_gives_its_reason():
    audit = audited("1.5x faster at p50 and errors up at most 1pp and 4x faster at p90")
    (sentence,) = audit.sentences
    assert sentence.verdict is Verdict.REFUTED
    assert sentence.reason == sentence.findings[2].reason


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95, 0.99])
def test_a_part_that_is_refuted_refutes_its_sentence_alone_at_every_level(level):
    """The part's verdict and the conjunction share one alpha."""
    refuted = 0
    for flips in range(60, 110):
        windows = Pairs(pairs_of(3000, flips, raw=True))
        audit = audited(
            "same predictions within 2%", windows=windows, level=level,
            analyzers={"predictions": Predictions(level)},
        )  # fmt: skip
        assert audit.verdict is audit.findings[0].verdict
        refuted += audit.verdict is Verdict.REFUTED
    assert 0 < refuted < 50


def test_a_part_that_no_analyzer_answers_is_not_comparable_and_says_so():
    audit = audited("1.5x faster at p50", analyzers={})
    assert audit.verdict is Verdict.NOT_COMPARABLE
    assert audit.findings[0].reason.code is ReasonCode.NOT_JUDGED_YET
    assert audit.reason.text == (
        "“1.5x faster at p50”: no installed analyzer answers this (see `nibai plugins`)"
    )


def test_the_first_analyzer_by_name_answers():
    class Echo(Errors):
        def analyze(self, given, _windows):
            return [
                self.judge(part, None) for sentence in given.sentences for part in sentence.parts
            ]

    both = {"speedup": speedup({}), "a": Echo()}
    assert audited("1.5x faster at p50", analyzers=both).findings[0].analyzer == "errors"


def test_every_finding_says_whether_its_error_rate_was_measured():
    (result,) = judge(change("1.5x faster at p50"), TWICE, {"speedup": speedup({})})
    evidence = result.findings[0].evidence
    assert evidence.false_positive_rate is None
    assert evidence.notes.count(NOT_MEASURED) == 1


def test_notes_are_said_once():
    audit = audited("1.5x faster at p50", notes=("seen", "seen", "more"))
    assert audit.notes == ("seen", "more")


def test_without_any_data_the_sides_say_so():
    audit = audited("1.5x faster at p50", windows=Given())
    assert audit.verdict is Verdict.INCONCLUSIVE
    assert (audit.baseline.label, audit.baseline.requests) == ("no data", 0)
    assert audit.exhibits == ()


def test_kinds_that_changed_together_are_confounded_in_the_reason():
    kinds = (ChangeKind.PRECISION, ChangeKind.INSTANCE_TYPE, ChangeKind.CAPACITY)
    audit = run_audit(
        replace(change("1.5x faster at p50"), kinds=kinds), TWICE, {"speedup": speedup({})},
        audit_id="a", created_at=5.0, version="9",
    )  # fmt: skip
    assert audit.reason.text.endswith(
        "; confounded: precision, instance_type changed together, so it is the effect of all"
    )
    assert "confounded" not in audited("1.5x faster at p50").reason.text
