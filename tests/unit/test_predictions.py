from dataclasses import replace

import pytest
from support.comparisons import Given, live, lognormal
from support.pairs import QUIET, Pairs, declared, invalid, joined, sample, sketch, truth

from analyzers.predictions import Predictions
from analyzers.speedup import build as speedup
from nibai.audit import run_audit
from nibai.claims import parse
from nibai.document import from_document, to_document
from nibai.model import ChangeKind, ReasonCode, Verdict
from nibai.prediction_evidence import GateState
from nibai.prediction_plans import plans_of
from nibai.predictions import (
    JSON_VALID,
    EvidenceLevel,
    Hits,
    JoinReport,
    Moments,
    PairedSketch,
    SameInputs,
    Signal,
)  # fmt: skip

CONFIRMED, REFUTED = Verdict.CONFIRMED, Verdict.REFUTED
INCONCLUSIVE, NOT_COMPARABLE = Verdict.INCONCLUSIVE, Verdict.NOT_COMPARABLE


def judge(*samples, claim="same predictions", **options):
    return Predictions().analyze(declared(claim, **options), Pairs(*samples))[0]


def states(finding):
    return {gate.name: gate.state.value for gate in finding.evidence.predictions.gates}


# -- the four gates -----------------------------------------------------------------------------


def test_few_flips_with_a_quiet_floor_confirm():
    found = judge(sample(3500, 30, old=(3500, 0), new=(3500, 0)))
    assert found.verdict is CONFIRMED
    assert found.reason.text == (
        "0.857% [0.136, 1.64] of answers changed beyond the old variant's own 0%: within the 2% "
        "allowed; self-flip passed, too; not measured: accuracy, invalid outputs "
        "(margin: default for precision int8; 3,500 pairs, replayed traffic, batch 1)"
    )
    assert found.estimate.value == pytest.approx(30 / 3500)
    assert found.evidence.requests == (3500, 3500)
    assert found.evidence.unit == "pair"


def test_many_flips_refute_with_estimate_margin_floor_and_batch():
    found = judge(sample(3500, 364, **QUIET, batch=32))
    assert found.verdict is REFUTED
    assert found.reason.code is ReasonCode.FALLS_SHORT
    assert found.reason.text == (
        "10.4% [8.18, 12.6] of answers changed beyond the old variant's own 0%: more than the 2% "
        "allowed (margin: default for precision int8; 3,500 pairs, replayed traffic, batch 32)"
    )


def test_a_noisy_new_variant_is_refuted_even_where_its_flips_are_all_noise():
    """int8 per channel: 5.42 % flips, 5.33 % self-flips. Subtracting them would pass it."""
    found = judge(
        sample(3500, 190, old=(3500, 0), new=(3500, 187)), claim="same predictions within 4%"
    )
    assert found.verdict is INCONCLUSIVE
    found = judge(sample(3500, 60, old=(3500, 0), new=(3500, 187)))
    assert found.verdict is REFUTED
    assert found.reason.code is ReasonCode.SELF_FLIPS
    assert found.reason.text.startswith(
        "the new variant is not a function of the request: it disagrees with itself on 5.34% of "
        "answers, the old on 0%"
    )


def test_the_same_noise_in_both_variants_is_not_refuted():
    found = judge(sample(3500, 187, old=(3500, 187), new=(3500, 187)))
    assert found.verdict is INCONCLUSIVE
    assert "more pairs would decide" in found.reason.text
    assert judge(sample(60000, 3000, old=(60000, 3000), new=(60000, 3000))).verdict is CONFIRMED


def test_without_a_floor_few_flips_confirm_and_many_refute_nothing():
    few = judge(sample(3500, 8))
    assert few.verdict is CONFIRMED
    assert "noise floor unknown" in few.reason.text
    many = judge(sample(3500, 364))
    assert many.verdict is INCONCLUSIVE
    assert many.reason.code is ReasonCode.NOISE_FLOOR_UNKNOWN
    assert "noise floor unknown: replay k=2" in many.reason.text
    assert many.evidence.p_refute == 0.5
    between = judge(sample(3500, 30))
    assert states(between) == {
        "excess flips": "passed", "self-flip": "open",
        "accuracy": "not measured", "invalid outputs": "not measured",
    }  # fmt: skip
    assert between.reason.code is ReasonCode.NOISE_FLOOR_UNKNOWN


@pytest.mark.parametrize("flips", [0, 60, 150, 3000])
def test_no_aa_data_never_refute_by_flips(flips):
    assert judge(sample(3000, flips)).verdict is not REFUTED


def test_a_file_of_pairs_is_judged_by_raw_flips_and_every_verdict_says_so():
    for flips, verdict in ((150, REFUTED), (10, CONFIRMED), (60, INCONCLUSIVE)):
        found = judge(sample(3000, flips, raw=True), claim="same predictions within 2%")
        assert found.verdict is verdict
        assert "against raw flips; noise floor not measured" in found.reason.text
        assert "against raw flips; noise floor not measured" in found.evidence.notes
        assert states(found)["self-flip"] == "not measured"
    found = judge(sample(3000, 150, raw=True), claim="same predictions within 2%")
    assert found.estimate.value == 0.05


def test_a_stated_floor_of_zero_says_the_same_without_it():
    found = judge(sample(3000, 150, raw=True, stated_floor=0.0), claim="same predictions within 2%")
    assert found.verdict is REFUTED
    assert found.estimate.value == 0.05
    assert "not measured" not in found.reason.text
    assert "(stated)" in found.reason.text


def test_accuracy_that_fell_refutes_though_few_answers_changed():
    found = judge(
        sample(20000, 700, **QUIET, signals=truth(20000, 620, 30)),
        claim="same predictions within 5%",
    )
    assert found.verdict is REFUTED
    assert found.reason.text.startswith("accuracy went from 70% to 67%, -2.95pp [")
    assert "more than the 1pp allowed" in found.reason.text


def test_accuracy_has_no_margin_where_the_kind_of_change_has_none():
    """Other weights may answer better: nobody said that accuracy has to stay."""
    better = sample(20000, 700, **QUIET, signals=truth(20000, 30, 620))
    found = judge(better, claim="same predictions within 5%", kinds=(ChangeKind.WEIGHTS,))
    assert found.verdict is CONFIRMED
    gate = found.evidence.predictions.gates[2]
    assert gate.text == ("accuracy: no margin, claim “accuracy down at most 1pp” to have it judged")


def test_a_refusal_names_every_gate_that_failed():
    found = judge(sample(20000, 2000, **QUIET, signals=truth(20000, 1000, 100)))
    assert "more than the 2% allowed; accuracy failed, too (margin: default" in found.reason.text


def test_a_margin_of_nothing_is_refuted_by_one_flip_and_never_shown():
    claim = "same predictions within 0%"
    assert judge(sample(3000, 1, raw=True), claim=claim).verdict is REFUTED
    none = judge(sample(3000, 0, **QUIET), claim=claim)
    assert (none.verdict, none.reason.code) == (
        INCONCLUSIVE, ReasonCode.PRACTICALLY_UNDECIDABLE,
    )  # fmt: skip
    assert "no number of pairs shows that none changes, allow a margin" in none.reason.text
    exact = judge(sample(3000, 60, **QUIET))
    assert "practically undecidable, the rate equals the 2% allowed" in exact.reason.text


def test_invalid_answers_refute():
    found = judge(
        sample(3000, 150, **QUIET, signals=invalid(3000, 0, 150)),
        claim="same predictions within 2%",
    )
    assert states(found)["invalid outputs"] == "failed"


def test_gates_without_data_are_printed_and_decide_nothing():
    found = judge(sample(3000, 5, **QUIET))
    gates = found.evidence.predictions.gates
    assert [gate.state for gate in gates[2:]] == [GateState.NOT_MEASURED] * 2
    assert found.verdict is CONFIRMED


# -- before any interval --------------------------------------------------------------------------


def test_fewer_than_300_pairs_are_never_judged():
    found = judge(sample(299, 0, **QUIET))
    assert (found.verdict, found.reason.code) == (INCONCLUSIVE, ReasonCode.TOO_FEW_PAIRS)
    assert found.reason.text == (
        "299 pairs of distinct inputs: fewer than 300 are never judged, "
        "about 1 more pairs are needed"
    )
    assert judge(sample(299, 299, **QUIET)).verdict is INCONCLUSIVE
    repeated = judge(sample(100, 0, all_pairs=5000, **QUIET))
    assert "(4,900 repeated ones do not count)" in repeated.reason.text


def test_half_the_partners_missing_is_not_comparable():
    found = judge(sample(490, 0, join=joined((1000, 1000), 490)))
    assert (found.verdict, found.reason.code) == (NOT_COMPARABLE, ReasonCode.FEW_PARTNERS)
    assert found.reason.text.startswith("only 49% of requests found their partner (by request id)")
    found = judge(sample(8000, 4, join=joined((10000, 10000), 8000), **QUIET))
    assert found.verdict is CONFIRMED
    assert any("only 80% of requests" in note for note in found.evidence.notes)


def test_weights_and_undeclared_changes_must_state_their_margin():
    for options in ({"kinds": (ChangeKind.WEIGHTS, ChangeKind.PRECISION)}, {"kinds": ()}):
        found = judge(sample(3500, 3, **QUIET), **options)
        assert (found.verdict, found.reason.code) == (NOT_COMPARABLE, ReasonCode.MARGIN_NOT_STATED)
        assert "“same predictions within 2%”" in found.reason.text
        assert found.evidence.predictions.flips.value == pytest.approx(3 / 3500)
        assert (
            judge(sample(3500, 3, **QUIET), claim="same predictions within 3%", **options).verdict
            is CONFIRMED
        )


def test_a_margin_is_that_of_the_declaration_or_said_to_be_edited():
    promised = declared("same predictions", declared_at=7.0)
    promised = replace(promised, predictions=plans_of(promised))

    def judged(claim):
        change = replace(promised, sentences=(parse(claim),))
        found = Predictions().analyze(change, Pairs(sample(3500, 100, **QUIET)))[0]
        evidence = found.evidence.predictions
        return evidence.margin_source, evidence.margin_confirmed_at, found.reason.text

    assert judged("same predictions")[:2] == ("default for precision int8", 7.0)
    assert judged("same predictions within 2%")[:2] == ("stated", 7.0)
    source, at, text = judged("same predictions within 5%")
    assert (source, at) == ("edited, 2% was declared", None)
    assert "(margin: edited, 2% was declared; 3,500 pairs" in text
    assert judged("same output mix within 5%")[:2] == ("stated", None)


def test_the_strictest_of_several_kinds_counts():
    kinds = (ChangeKind.PRECISION, ChangeKind.DRIVER)
    found = judge(sample(3500, 30, **QUIET), kinds=kinds)
    assert found.evidence.predictions.margin == 0.001
    assert found.evidence.predictions.margin_source == (
        "default for the strictest of precision int8, driver"
    )


def test_no_answers_say_what_to_do():
    for windows in (Given(), Pairs()):
        found = Predictions().analyze(declared("same predictions"), windows)[0]
        assert (found.verdict, found.reason.code) == (NOT_COMPARABLE, ReasonCode.NO_DATA)
        assert found.reason.text == "no answers of both variants: capture outputs, or replay inputs"
    found = judge(sample(0, 0))
    assert found.reason.code is ReasonCode.NO_DATA


# -- segments and profiles ------------------------------------------------------------------------


def split(*parts, **options):
    made = sample(1, 0, **options)
    return replace(made, pairs={label: sketch(n, k) for label, n, k in parts})


def test_a_segment_is_judged_by_its_own_pairs():
    both = split(("lang=de", 2000, 0), ("lang=ja", 2000, 400), **QUIET)
    floor = {"lang=de": sketch(2000, 0), "lang=ja": sketch(2000, 0)}
    both = replace(both, floor_old=floor, floor_new=floor)
    assert judge(both).verdict is REFUTED
    german = judge(both, claim="same predictions for lang=de")
    assert german.verdict is CONFIRMED
    assert german.evidence.requests == (2000, 2000)
    missing = judge(both, claim="same predictions for lang=fr")
    assert missing.reason.text == "no pairs of lang=fr: the segments are lang=de, lang=ja"
    rows = judge(both).evidence.predictions.segments
    assert [(row.segment, row.stands_out) for row in rows] == [("lang=ja", True), ("lang=de", True)]


def test_a_batch_is_another_profile_with_a_claim_of_its_own():
    alone, eight = (
        sample(3500, 10, **QUIET),
        sample(3500, 60, old=(3500, 0), new=(3500, 187), batch=8),
    )
    findings = Predictions().analyze(declared("same predictions"), Pairs(alone, eight))
    assert [finding.verdict for finding in findings] == [CONFIRMED, REFUTED]
    assert findings[1].claim.segment == ("batch", "8")
    assert findings[1].evidence.predictions.batch_profile == "batch 8"
    asked = Predictions().analyze(
        declared("same predictions, same predictions for batch=8"), Pairs(alone, eight)
    )
    assert len(asked) == 2
    missing = judge(alone, eight, claim="same predictions for batch=16")
    assert missing.reason.text == "no answers at batch 16: there is 1, 8"


def test_profiles_of_another_batch_stand_in_a_sentence_of_their_own():
    twice = live(lognormal(1, 60_000), lognormal(2, 60_000, median=0.05))
    alone = sample(3500, 364, **QUIET)
    eight = sample(3500, 60, old=(3500, 0), new=(3500, 187), batch=8)
    analyzers = {"predictions": Predictions(), "speedup": speedup({})}

    def audited(*claims):
        return run_audit(
            declared(*claims), Pairs(alone, eight, latency=twice), analyzers,
            audit_id="a1", created_at=5.0, version="9",
        )  # fmt: skip

    joint, further = audited("1.5x faster at p50 and p99, same predictions").sentences
    assert joint.verdict is REFUTED
    assert joint.reason.text.startswith("p50 is 1.99x faster [1.98, 2.01]")
    assert "; 10.4% [8.18, 12.6] of answers changed" in joint.reason.text
    assert further.sentence.text == "same predictions for batch=8"
    assert further.verdict is REFUTED
    assert further.reason.text.startswith(
        "at batch 8 the new variant is not a function of the request: it disagrees with itself on "
        "5.34% of answers, the old on 0%: 5.34% ["
    )
    asked = audited("1.5x faster at p50 and p99, same predictions for batch=8")
    assert [result.sentence.text for result in asked.sentences] == [
        "1.5x faster at p50 and p99", "same predictions for batch=8",
    ]  # fmt: skip
    assert [result.verdict for result in asked.sentences] == [CONFIRMED, REFUTED]
    assert asked.verdict is Verdict.PARTLY
    assert from_document(to_document(asked)) == asked


@pytest.mark.parametrize(
    ("level", "code"),
    [
        (EvidenceLevel.OUTPUTS_ONLY, ReasonCode.OUTPUTS_ONLY),
        (EvidenceLevel.ADJUSTED, ReasonCode.UNPAIRED),
    ],
)
def test_unpaired_answers_confirm_nothing(level, code):
    found = judge(sample(3500, 0, level=level))
    assert (found.verdict, found.reason.code) == (NOT_COMPARABLE, code)


# -- the other claims -----------------------------------------------------------------------------


def test_accuracy_claims():
    claim = "accuracy down at most 1pp"
    quiet = judge(sample(20000, 200, signals=truth(20000, 60, 60)), claim=claim)
    assert quiet.verdict is CONFIRMED
    assert "within the fall of 1pp allowed" in quiet.reason.text
    worse = judge(sample(20000, 900, signals=truth(20000, 700, 100)), claim=claim)
    assert worse.verdict is REFUTED
    better = judge(sample(20000, 900, signals=truth(20000, 100, 700)), claim=claim)
    assert better.verdict is CONFIRMED
    none = judge(sample(20000, 900), claim=claim)
    assert (none.verdict, none.reason.code) == (NOT_COMPARABLE, ReasonCode.NO_TRUTH)
    # One look at a file: TOST's interval, int8 per tensor and per channel of drift.md §12.
    for (n10, n01), verdict in (((51, 38), CONFIRMED), ((131, 100), INCONCLUSIVE)):
        found = judge(sample(3500, 300, raw=True, signals=truth(3500, n10, n01)), claim=claim)
        assert found.verdict is verdict


def test_json_validity_may_rise_and_not_fall():
    claim = "same JSON validity within 1%"
    for lost, won, verdict in (
        (0, 0, CONFIRMED),
        (200, 0, REFUTED),
        (0, 200, CONFIRMED),
        (45, 0, INCONCLUSIVE),
    ):
        signals = {JSON_VALID: Signal(4000, lost, won, 3500)}
        assert judge(sample(4000, 200, signals=signals), claim=claim).verdict is verdict
    none = judge(sample(4000, 200), claim=claim)
    assert none.reason.code is ReasonCode.NO_SUCH_OUTPUT


def test_the_output_mix_is_judged_by_the_class_that_moved_most():
    claim = "same output mix within 2%"
    there_and_back = {("a", "b"): 300, ("b", "a"): 300}
    assert judge(sample(4000, 600, confusion=there_and_back), claim=claim).verdict is INCONCLUSIVE
    assert (
        judge(
            sample(60000, 6000, confusion={k: 10 * v for k, v in there_and_back.items()}),
            claim=claim,
        ).verdict
        is CONFIRMED
    )
    away = judge(sample(6000, 600, confusion={("a", "b"): 600}), claim=claim)
    assert away.verdict is REFUTED
    assert away.reason.text.startswith("the share of “b” moved by +10pp [")
    assert judge(sample(6000, 0), claim=claim).verdict is CONFIRMED


# -- what the report shows ------------------------------------------------------------------------


def test_evidence_is_complete():
    found = judge(
        sample(
            4000, 100, **QUIET,
            all_pairs=5000, all_flips=200,
            margins={0: Hits(1000, 90), 10: Hits(1000, 8), 50: Hits(1500, 2), 99: Hits(500, 0)},
            signals=truth(4000, 50, 40) | invalid(4000, 1, 2),
            events={"threshold crossed": Hits(4000, 70)},
            confusion={("a", "b"): 60, ("b", "a"): 40},
            moments={"kl": Moments(4000, 186.0, 40.0, 0.0, 0.5)},
            histograms={"kl": {-100: 2000, -50: 2000}},
            same_inputs=SameInputs(3500, 100, 10),
            join=JoinReport("request id", (4100, 4050), 4000, quarantined={"truncated line": 3}),
        )
    ).evidence.predictions  # fmt: skip
    assert found.traffic_flips == 0.04
    assert [(row.low, row.n, row.flips) for row in found.margins] == [
        (0.0, 1000, 90), (0.01, 1000, 8), (0.11, 1500, 2), (0.51, 500, 0),
    ]  # fmt: skip
    assert found.floor_old.hits == 0
    assert found.confusion == (("a", "b", 60), ("b", "a", 40))
    assert {row.name for row in found.signals} == {"correct", "invalid"}
    assert [row.name for row in found.events] == ["right before, wrong now", "threshold crossed"]
    kl = found.distributions[0]
    assert kl.mean.value == pytest.approx(0.0465)
    assert kl.margin == 0.01
    assert kl.p99 is not None
    assert found.excess_fixed.value == pytest.approx(90 / 3500)
    assert found.quarantined == {"truncated line": 3}
    assert [(row.share_of_margin, row.pairs) for row in found.pairs_needed] == [
        (0.0, 357), (0.25, 895), (0.5, 2511), (2.0, 1111),
    ]  # fmt: skip
    assert found.pairs_wanted == 3000


def test_mean_kl_beyond_its_margin_is_a_warning_only():
    found = judge(sample(4000, 10, **QUIET, moments={"kl": Moments(4000, 186.0, 40.0)}))
    assert found.verdict is CONFIRMED
    assert any(note.startswith("mean KL 0.0465 [") for note in found.evidence.notes)


def test_simpson_is_flagged_where_the_floor_has_another_mix():
    one = replace(
        sample(1, 0),
        pairs={"s=a": sketch(900, 90), "s=b": sketch(100, 1)},
        floor_old={"s=a": sketch(100, 9), "s=b": sketch(900, 0)},
    )
    assert judge(one).evidence.predictions.simpson is False
    flipped = replace(one, floor_old={"s=a": sketch(900, 99), "s=b": sketch(100, 1)},
                      pairs={"s=a": sketch(100, 10), "s=b": sketch(900, 9)})  # fmt: skip
    assert judge(flipped).evidence.predictions.simpson is False
    odd = replace(one, floor_old={"s=a": sketch(100, 11), "s=b": sketch(900, 1)})
    assert judge(odd).evidence.predictions.simpson is True


def test_a_sketch_without_anything_is_fine():
    assert (
        judge(replace(sample(1, 0), pairs={"": PairedSketch()})).reason.code is ReasonCode.NO_DATA
    )
