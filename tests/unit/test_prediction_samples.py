"""Answers in the lake become pairs, floors and a join report, whatever came late or twice."""

from dataclasses import replace

import numpy as np
import pytest
from support.answers import ENDPOINT, answers, record

from nibai.app.compare import load_analyzers
from nibai.claims import parse
from nibai.model import Change, ChangeKind, Verdict, Window
from nibai.paired.build import SketchBuilder
from nibai.paired.columns import of_records
from nibai.predictions import CORRECT, INVALID, EvidenceLevel, total
from nibai.protocols import PredictionWindows
from nibai.store.series.blocks import Engine
from nibai.store.wal.ingest import Ingest, MemoryLedger
from nibai.store.windows.disturbances import Disturbance
from nibai.store.windows.sides import LakeWindows

START = 1_680_000_000.0
CHANGE = Change(
    "c", ENDPOINT, (ChangeKind.PRECISION,), baseline_variant="fp32", candidate_variant="int8",
    evidence={"precision": "int8"},
)  # fmt: skip


@pytest.fixture
def samples(tmp_path):
    """Store records (in several payloads) and ask for the samples of a change."""

    def ask(records, change=CHANGE, others=()):
        ingest = Ingest(tmp_path, "main", MemoryLedger(), clock=lambda: START)
        half = len(records) // 2
        for part in (records[:half], records[half:]):
            if part:
                ingest.append(None, None, answers(*part))
        ingest.close()
        windows = LakeWindows(Engine(ingest.lake), change, others)
        assert isinstance(windows, PredictionWindows)
        return windows.predictions()

    return ask


def both(n, flips=(), **more):
    """Answers of both variants to n requests."""
    old = [record(i, variant="fp32", **more) for i in range(n)]
    new = [record(i, "dog" if i in flips else "cat", variant="int8", **more) for i in range(n)]
    return old, new


def test_the_lake_counts_what_the_pure_builder_counts(samples):
    rng = np.random.default_rng(7)
    old, new = [], []
    for i in range(400):
        probabilities = tuple(np.round(rng.dirichlet(np.ones(3)), 3))
        common = {
            "input_hash": f"h{i % 300}", "segment": "lang=de" if i % 3 else "lang=en",
            "truth": str(rng.choice(["cat", "dog"])) if i % 5 else None,
            "margin": float(np.round(rng.uniform(), 4)) if i % 7 else None,
        }  # fmt: skip
        for side, variant in ((old, "fp32"), (new, "int8")):
            invalid = "timeout" if rng.uniform() < 0.05 else ""
            side.append(
                record(
                    i, "" if invalid else str(rng.choice(["cat", "dog", "cow"], p=[0.8, 0.1, 0.1])),
                    variant=variant, invalid=invalid, score=float(np.round(rng.normal(), 3)),
                    probabilities=probabilities if i % 2 else (), **common,
                )
            )  # fmt: skip
    (sample,) = samples([*old, *new])
    builder = SketchBuilder()
    builder.add(of_records(list(zip(old, new, strict=True))))
    assert set(sample.pairs) == {"lang=de", "lang=en"}
    for segment, expected in builder.sketches.items():
        found = sample.pairs[segment]
        for name in ("pairs", "flips", "all_pairs", "all_flips", "signals", "events", "margins"):
            assert getattr(found, name) == getattr(expected, name), name
        assert found.confusion == expected.confusion
        assert found.histograms.keys() == expected.histograms.keys()
        for name, moments in expected.moments.items():
            assert found.moments[name].sum == pytest.approx(moments.sum, abs=1e-4)
    assert CORRECT in total(sample.pairs.values()).signals
    assert total(sample.pairs.values()).signals[f"{INVALID}:timeout"].n == 300


def test_live_answers_to_one_request_are_shadow_evidence(samples):
    old, new = both(20, {3})
    (sample,) = samples([*old, *new])
    assert (sample.level, sample.source) == (EvidenceLevel.SHADOW, "shadow")
    assert (sample.join.key, sample.join.match_rate) == ("request id", 1.0)
    assert (sample.distinct_by, sample.labels, sample.batch) == ("input hash", ("fp32", "int8"), 1)
    assert (sample.pairs[""].pairs, sample.pairs[""].flips) == (20, 1)
    assert sample.floor_old is sample.floor_new is None


def test_late_missing_and_duplicate_answers(samples):
    old, new = both(20)
    late = [replace(one, at=one.at + 86_400.0) for one in new[:10]]
    again = [replace(old[0], at=old[0].at + 1, label="dog")]
    (sample,) = samples([*old, *again, *late, *new[12:]])
    assert sample.join.requests == (20, 18)
    assert sample.join.duplicates == (1, 0)
    assert sample.join.match_rate == 1.0
    assert sample.join.skew_seconds == pytest.approx(86_400.0)
    sketch = sample.pairs[""]
    assert (sketch.pairs, sketch.flips, sketch.missing_candidate) == (18, 0, 2)


def test_other_request_ids_are_joined_by_input(samples):
    old, new = both(20, {1, 2})
    new = [replace(one, request_id=f"other{i}", source="shadow") for i, one in enumerate(new)]
    (sample,) = samples([*old, *new])
    assert (sample.join.key, sample.level) == ("input hash", EvidenceLevel.SHADOW)
    assert sample.pairs[""].flips == 2
    live = [replace(one, source="") for one in new]
    (sample,) = samples(live)
    assert sample.level is EvidenceLevel.SHADOW, "the shadow's answers are still there"


def test_equal_inputs_of_live_requests_are_no_shadow(samples):
    old, new = both(20)
    new = [replace(one, request_id=f"other{i}") for i, one in enumerate(new)]
    (sample,) = samples([*old, *new])
    assert (sample.level, sample.source) == (EvidenceLevel.REPLAY, "equal live inputs")


def test_profiles_are_samples_of_their_own_and_live_traffic_comes_first(samples):
    live = both(12)
    replayed = both(30, {1}, batch=8, source="replay:b8")
    again = both(30, {1, 2}, batch=8, source="replay:b8", repeat=1)
    found = samples([one for side in (*replayed, *again, *live) for one in side])
    assert [(one.batch, one.level.value) for one in found] == [(1, "A"), (8, "B")]
    assert found[1].source == "replay:b8"
    first, second = found[1].pairs[""], found[1].floor_new[""]
    assert (first.pairs, first.flips, first.all_pairs, first.all_flips) == (30, 1, 60, 3)
    assert (second.pairs, second.flips) == (30, 1)
    assert found[1].floor_old[""].flips == 0
    assert (found[1].same_inputs.n, found[1].same_inputs.only_ab) == (30, 1)
    assert "noise floor of the new variant: repeated requests" in found[1].notes


def test_a_named_copy_of_the_old_variant_is_its_floor(samples):
    old, new = both(30, {1, 2})
    copy = [replace(one, variant="fp32c", label="dog" if i == 1 else "cat")
            for i, one in enumerate(old[:20])]  # fmt: skip
    named = replace(CHANGE, evidence={"control_variant": "fp32c"})
    (sample,) = samples([*old, *new, *copy], named)
    assert (sample.floor_old[""].pairs, sample.floor_old[""].flips) == (20, 1)
    assert (sample.same_inputs.n, sample.same_inputs.only_ab, sample.same_inputs.only_aa) == (
        20, 1, 0,
    )  # fmt: skip
    assert sample.notes == (
        "noise floor of the old variant: against its copy fp32c",
        "answers of both variants are paired by request id",
    )


@pytest.mark.parametrize(("n", "measured"), [(299, False), (300, True)])
def test_inputs_that_came_again_are_a_floor_when_they_are_many(samples, n, measured):
    old, new = both(300)
    again = [
        replace(one, request_id=f"r{i}", at=one.at + 600, label="dog" if i < 3 else "cat")
        for i, one in enumerate(new[:n])
    ]
    (sample,) = samples([*old, *new, *again])
    assert sample.floor_old is None
    if measured:
        assert (sample.floor_new[""].pairs, sample.floor_new[""].flips) == (300, 3)
        assert sample.notes[0] == "noise floor of the new variant: inputs that came again"
    else:
        assert sample.floor_new is None


def test_windows_bound_live_answers(samples):
    old, new = both(100)
    windows = Window(START, START + 50)
    change = replace(CHANGE, baseline_window=windows, candidate_window=windows)
    (sample,) = samples([*old, *new], change)
    assert sample.pairs[""].pairs == 50


def test_shadow_pairs_end_where_one_of_the_variants_changes(samples):
    """Of 100 requests in five and a half hours the second half meets another int8."""
    old, new = (
        [record(i, "dog" if i > 49 else "cat", variant=v, at=START + 200 * i) for i in range(100)]
        for v in ("fp32", "int8")
    )
    moved = START + 200 * 50
    later = Disturbance(Window(moved, moved), "change chg-2", frozenset({"int8"}))
    (sample,) = samples([*old, *new], replace(CHANGE, declared_at=START), [later])
    assert sample.pairs[""].pairs == 50
    assert sample.notes[-1] == "the windows are the change's own: they end before change chg-2"


def test_runs_are_replays_and_half_without_partners_gives_way(samples):
    old, new = both(30)
    (sample,) = samples([*old, *new], replace(CHANGE, runs=True))
    assert (sample.level, sample.source) == (EvidenceLevel.REPLAY, "runs")
    lonely = [record(500 + i, variant=v, batch=4, input_hash=f"{v}{i}", request_id=f"{v}{i}")
              for v in ("fp32", "int8") for i in range(10)]  # fmt: skip
    assert [one.batch for one in samples(lonely)] == [1]


def test_answers_that_found_no_partner_are_told(samples):
    old = [record(i, variant="fp32") for i in range(10)]
    new = [record(100 + i, variant="int8") for i in range(10)]
    (sample,) = samples([*old, *new])
    assert sample.join.match_rate == 0.0
    assert (sample.pairs[""].missing_baseline, sample.pairs[""].missing_candidate) == (10, 10)


@pytest.mark.parametrize(
    "change",
    [replace(CHANGE, candidate_variant="int4"), replace(CHANGE, endpoint="a/b/c")],
    ids=["a side without answers", "another endpoint"],
)
def test_without_answers_of_both_there_is_no_sample(samples, change):
    old, new = both(10)
    assert samples([*old, *new], change) == []


@pytest.mark.parametrize("segments", [("",), ("lang=de", "lang=en")])
def test_one_variant_before_and_after_is_not_paired(samples, segments):
    """There was no latency to say which windows; given ones say it."""
    made = [
        record(i, f"l{i % 60}" if i % 10 else "cat", segment=segments[i % len(segments)])
        for i in range(300)
    ]
    made += [record(300 + i, "", invalid="timeout") for i in range(5)]
    made += [record(i, "dog", source="replay:x", variant="fp32") for i in range(50)]
    change = Change(
        "c", ENDPOINT, baseline_window=Window(START + 100, START + 200),
        candidate_window=Window(START + 200, START + 400),
    )  # fmt: skip
    (sample,) = samples(made, change)
    split = len(segments) > 1
    assert sample.level is (EvidenceLevel.ADJUSTED if split else EvidenceLevel.OUTPUTS_ONLY)
    found = sample.unpaired
    assert (found.before.n, found.after.n, found.past.n) == (100, 105, 100)
    assert found.classes[-1] == "(invalid)"
    assert "cat" in found.classes
    assert "dog" not in found.classes, "replayed answers are nobody's traffic"
    assert len(found.classes) == 50 + 2, "the rarest are one class"
    assert (found.after.codes == len(found.classes) - 1).sum() == 5
    assert bool(found.segments) is split
    assert np.all(np.diff(found.before.times) >= 0)


def test_an_audit_judges_them(samples, tmp_path):
    old, new = both(1200, set(range(0, 1200, 10)), source="replay:x")
    old2, new2 = both(1200, set(range(0, 1200, 10)), source="replay:x", repeat=1)
    samples([*old, *new, *old2, *new2])
    claims = tuple(parse(text) for text in ("same predictions within 2%", "same output mix"))
    change = replace(CHANGE, sentences=claims)
    windows = LakeWindows(
        Engine(Ingest(tmp_path, "x", MemoryLedger(), clock=lambda: START).lake), change
    )
    finding, _ = load_analyzers(0.95)["predictions"].analyze(change, windows)
    assert finding.verdict is Verdict.REFUTED
    assert finding.estimate.value == pytest.approx(0.1)
    assert finding.evidence.predictions.floor_old.hits == 0
