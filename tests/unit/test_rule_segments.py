"""`segments` and `adjust` of a rule: the same of each segment, and of requests as they came."""

import numpy as np
import pyarrow as pa
import pytest
import yaml
from support.onwatch import CUT, declared, on_watch
from support.spans import batch

import nibai
from alerts.exports.expressions import of_group
from alerts.rules.ruleset import RuleSet
from nibai.app.alerting.segments import Segments
from nibai.document import from_document, to_document
from nibai.model import Verdict
from nibai.store.series.blocks import Engine
from nibai.store.wal.ingest import Ingest, MemoryLedger

HOUR = 3600.0
ENDPOINT = "onprem/tokyo/mixed"
PER_STEP = 24  # requests in 5 minutes
CONFIRMED, REFUTED = Verdict.CONFIRMED, Verdict.REFUTED


@pytest.fixture
def lake(tmp_path):
    """A few requests of two models in one tier, the day before the change."""
    ingest = Ingest(tmp_path, "main", MemoryLedger(), clock=lambda: CUT)
    for name in "ab":
        at = np.full(5, int(CUT // 60) - 60, np.int32)
        label = f"model={name},tier=gold"
        ingest.append(batch(np.full(5, 0.1), minute=at, endpoint=ENDPOINT, segment=label))
    ingest.close()
    return tmp_path


def document(*rules):
    groups = [{"name": "g", "rules": list(rules)}]
    return {"apiVersion": "nibai.dev/v1alpha1", "kind": "RuleSet", "groups": groups}


def watched(tmp_path, lake, *rules):
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(document(*rules)), encoding="utf-8")
    return on_watch(tmp_path, lake, CUT + 12 * HOUR, rules=str(path))


RULES = (
    {"claim": "1.5x faster at p50", "name": "each", "segments": ["model"]},
    {"claim": "3x faster at p50", "name": "as-it-came", "adjust": ["load"]},
    {"claim": "3x faster at p50", "name": "like-for-like"},
)


def test_files_are_judged_raw_where_the_claim_says_so():
    rng = np.random.default_rng(3)

    def side(share_of_a, faster):
        is_a = rng.random(6000) < share_of_a
        seconds = rng.lognormal(0, 0.3, 6000) * np.where(is_a, 0.2 / faster, 0.05)
        return pa.table({
            "latency_s": seconds, "model": np.where(is_a, "a", "b"), "t": np.arange(6000) * 10.0,
        })  # fmt: skip

    claims = ["2x faster at p50", "2x faster at p50 raw", "2x faster at p50 for model=a raw"]
    audit = nibai.compare(
        side(0.8, 1.0), side(0.2, 2.0), claims, value="latency_s", time="t", segments=["model"]
    )
    adjusted, raw, of_a = (one.findings[0] for one in audit.sentences)
    assert adjusted.evidence.raw_ratio == pytest.approx(raw.estimate.value, rel=1e-9)
    assert raw.estimate.value > 1.3 * adjusted.estimate.value
    assert raw.evidence.mix_effect is None
    assert of_a.estimate.value == pytest.approx(2.0, rel=0.1)
    assert of_a.evidence.requests < raw.evidence.requests
    assert from_document(to_document(audit)).sentences == audit.sentences


def test_declared_claims_are_followed_in_their_segments_too(lake, tmp_path):
    watch = watched(tmp_path, lake, {"claim": "declared", "segments": ["model", "tier", "nothing"]})
    change = declared(watch.desk, "not slower at p50", "2x faster for model=a", endpoint=ENDPOINT)
    claimed = watch.office.claimed(change)
    assert [(one.text, one.family) for one in claimed.sentences] == [
        ("not slower at p50", 1),
        ("2x faster for model=a", 1),
        ("not slower at p50 for model=a", 2),
        ("not slower at p50 for model=b", 2),
        ("not slower at p50 for tier=gold", 1),
    ]
    watch.desk.state.close()


def test_a_set_of_segments_never_changes_and_is_read_once(lake, tmp_path):
    watch = watched(tmp_path, lake, RULES[0])
    change = declared(watch.desk, endpoint=ENDPOINT)
    segments = watch.told.alerting.segments
    watch.clock.now = CUT + HOUR
    assert segments.values(change, "latency", "model") == ["a", "b"]
    # What comes on the first day, or late of the past, does not begin the evidence again.
    ingest = Ingest(tmp_path, "main", MemoryLedger(), clock=lambda: CUT + HOUR)
    for minute in (-90, 30):
        at = np.full(5, int(CUT // 60) + minute, np.int32)
        late = batch(np.full(5, 0.1), minute=at, endpoint=ENDPOINT, segment="model=c,tier=gold")
        ingest.append(late)
    ingest.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "pooled", lambda *_: pytest.fail("it is known"))
        for seconds in (HOUR, 86_400, 8 * 86_400):
            watch.clock.now = CUT + seconds
            assert segments.values(change, "latency", "model") == ["a", "b"]
            restarted = Segments(watch.desk)
            assert restarted.values(change, "latency", "model") == ["a", "b"]
        watch.clock.now = CUT + 31 * 86_400
        assert segments.values(change, "latency", "model") == ()
    watch.desk.state.close()


def test_segments_of_variants_without_a_past_are_those_of_the_first_day(tmp_path):
    ingest = Ingest(tmp_path, "main", MemoryLedger(), clock=lambda: CUT + HOUR)
    at = np.full(5, int(CUT // 60) + 30, np.int32)
    ingest.append(batch(np.full(5, 0.1), minute=at, endpoint=ENDPOINT, segment="model=a"))
    ingest.close()
    watch = watched(tmp_path, tmp_path, RULES[0])
    change = declared(watch.desk, endpoint=ENDPOINT)
    segments = watch.told.alerting.segments
    for seconds, known in ((HOUR, ()), (86_300, ()), (87_000, ["a"])):
        watch.clock.now = CUT + seconds
        assert segments.values(change, "latency", "model") == known
    watch.desk.state.close()


def test_a_name_without_values_is_asked_for_on_the_first_day_only(lake, tmp_path):
    watch = watched(tmp_path, lake, RULES[0])
    change = declared(watch.desk, endpoint=ENDPOINT)
    segments, asked, real = watch.told.alerting.segments, [], Engine.pooled

    def pooled(self, *arguments):
        asked.append(arguments)
        return real(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "pooled", pooled)
        for seconds, reads in ((0, 1), (60, 1), (700, 2), (86_400, 4), (8 * 86_400, 4)):
            watch.clock.now = CUT + seconds
            assert segments.values(change, "latency", "nothing") == ()
            assert len(asked) == reads
    watch.desk.state.close()


def test_exported_rules_are_about_every_segment():
    rules = RuleSet.model_validate(document(*RULES))
    first, _, raw, *_ = of_group(rules, rules.groups[0])
    assert first.expr == (
        'nibai_claim_refuted_level_ratio{claim=~"1\\\\.5x-faster-at-p50|'
        '1\\\\.5x-faster-at-p50-for-model[-.].*"} >= 0.95'
    )
    assert first.labels == {"severity": "critical", "rule": "each"}
    assert 'claim="3x-faster-at-p50-raw"' in raw.expr
    assert raw.labels["claim"] == "as-it-came"
