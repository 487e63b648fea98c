"""`segments` and `adjust` of a rule: the same of each segment, and of requests as they came.

One endpoint: model a becomes twice as fast, model b does not change, and traffic moves from a to b,
which always was the faster one.
"""

import numpy as np
import pyarrow as pa
import pytest
import yaml
from support.onwatch import CUT, DAYS, DAYS_BEFORE, MONDAY, declared, on_watch
from support.spans import batch

import nibai
from alerts.exports.expressions import of_group
from alerts.rules.ruleset import RuleSet
from nibai.app.watch import shared
from nibai.document import from_document, to_document
from nibai.model import AlertState, Verdict
from nibai.store.alerts import alerts as stored_alerts
from nibai.store.ingest import Ingest, MemoryLedger

HOUR = 3600.0
ENDPOINT = "onprem/tokyo/mixed"
PER_STEP = 24  # requests in 5 minutes
CONFIRMED, REFUTED = Verdict.CONFIRMED, Verdict.REFUTED


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    rng = np.random.default_rng(20261127)
    minutes = np.repeat(np.arange(0, int(DAYS * 1440), 5), PER_STEP)
    after = minutes >= DAYS_BEFORE * 1440
    is_a = rng.random(len(minutes)) < np.where(after, 0.2, 0.8)
    seconds = rng.lognormal(0, 0.3, len(minutes)) * np.where(is_a, 0.2, 0.05)
    seconds[after & is_a] /= 2
    now = [MONDAY]
    ingest = Ingest(folder, "main", MemoryLedger(), clock=lambda: now[0])
    for name, chosen in (("a", is_a), ("b", ~is_a)):
        at = (int(MONDAY // 60) + minutes[chosen]).astype(np.int32)
        label = f"model={name},tier=gold"
        ingest.append(batch(seconds[chosen], minute=at, endpoint=ENDPOINT, segment=label))
    now[0] += 120
    ingest.close()
    return folder


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


def test_each_segment_is_a_claim_raw_is_another_than_adjusted_and_alerts_are_apart(lake, tmp_path):
    watch = watched(tmp_path, lake, *RULES)
    declared(watch.desk, endpoint=ENDPOINT)
    standings = watch.office.follower.look(watch.clock.now)
    found = {one.sentence.text: (one.verdict, one.level) for one in standings}
    assert found == {
        "1.5x faster at p50": (CONFIRMED, 0.95),
        "1.5x faster at p50 for model=a": (CONFIRMED, shared(0.95, standings[1].sentence)),
        "1.5x faster at p50 for model=b": (REFUTED, 0.975),
        "3x faster at p50 raw": (CONFIRMED, 0.95),
        "3x faster at p50": (REFUTED, 0.95),
    }
    value = {one.sentence.text: one.findings[0].estimate.value for one in standings}
    assert value["1.5x faster at p50 for model=a"] == pytest.approx(2.0, rel=0.05)
    assert value["1.5x faster at p50 for model=b"] == pytest.approx(1.0, rel=0.05)
    assert value["3x faster at p50"] == pytest.approx(2.06, rel=0.05), "at the usual 80 to 20"
    assert value["3x faster at p50 raw"] > 3.2
    # Told as alerts apart, by the names of their rules.
    watch.board.looked(watch.clock.now, standings)
    seen = watch.board.round(watch.clock.now)
    watch.told(seen)
    fired = [a.labels for a in stored_alerts(watch.desk.state) if a.state is AlertState.FIRING]
    assert sorted((one["claim"], one.get("segment")) for one in fired) == [
        ("each", "model=b"), ("like-for-like", None),
    ]  # fmt: skip
    watch.desk.state.close()


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


def test_what_rules_claim_by_segment_is_followed_once_there_is_traffic(lake, tmp_path, monkeypatch):
    watch = watched(tmp_path, lake, RULES[0])
    declared(watch.desk, endpoint=ENDPOINT)
    alerting = watch.told.alerting
    with monkeypatch.context() as patch:
        patch.setattr(type(alerting.segments), "values", lambda *_: [])
        assert len(watch.office.follower.look(watch.clock.now)) == 1
    assert len(watch.office.follower.look(watch.clock.now + 300)) == 3
    watch.desk.state.close()


def test_exported_rules_are_about_every_segment():
    rules = RuleSet.model_validate(document(*RULES))
    first, _, raw, *_ = of_group(rules, rules.groups[0])
    assert first.expr == (
        'nibai_claim_verdict{claim=~"1\\\\.5x-faster-at-p50|'
        '1\\\\.5x-faster-at-p50-for-model[-.].*"} == -1'
    )
    assert first.labels == {"severity": "critical", "rule": "each"}
    assert 'claim="3x-faster-at-p50-raw"' in raw.expr
    assert raw.labels["claim"] == "as-it-came"
