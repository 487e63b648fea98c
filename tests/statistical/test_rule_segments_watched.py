"""`segments` and `adjust` of a rule, watched: each segment a verdict of its own, raw another one.

One endpoint: model a becomes twice as fast, model b does not change, and traffic moves from a to b,
which always was the faster one.
"""

import numpy as np
import pytest
import yaml
from support.onwatch import CUT, DAYS, DAYS_BEFORE, MONDAY, declared, on_watch
from support.spans import batch

from nibai.model import AlertState, Verdict
from nibai.store.state.alerts import alerts as stored_alerts
from nibai.store.wal.ingest import Ingest, MemoryLedger

pytestmark = pytest.mark.slow

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
        "1.5x faster at p50 for model=a": (CONFIRMED, standings[1].sentence.shared(0.95)),
        "1.5x faster at p50 for model=b": (REFUTED, 0.975),
        "3x faster at p50 raw": (CONFIRMED, 0.95),
        "3x faster at p50": (REFUTED, 0.95),
    }
    value = {one.sentence.text: one.findings[0].estimate.value for one in standings}
    assert value["1.5x faster at p50 for model=a"] == pytest.approx(2.0, rel=0.05)
    assert value["1.5x faster at p50 for model=b"] == pytest.approx(1.0, rel=0.05)
    assert value["3x faster at p50"] == pytest.approx(2.06, rel=0.05), "at the usual 80 to 20"
    assert value["3x faster at p50 raw"] > 3.2
    # Fixed windows over the lake judge the same claims the same way.
    audit = watch.desk.audit(watch.office.claimed(watch.desk.changes()[0]), keep=False)
    raw, adjusted = (f for s in audit.sentences[3:] for f in s.findings)
    assert raw.claim.raw
    assert raw.estimate.value == pytest.approx(value["3x faster at p50 raw"], rel=0.05)
    assert adjusted.estimate.value == pytest.approx(value["3x faster at p50"], rel=0.05)
    assert adjusted.evidence.raw_ratio == pytest.approx(raw.estimate.value, rel=1e-6)
    # Told as alerts apart, by the names of their rules.
    watch.board.looked(watch.clock.now, standings)
    seen = watch.board.round(watch.clock.now)
    watch.told(seen)
    fired = [a.labels for a in stored_alerts(watch.desk.state) if a.state is AlertState.FIRING]
    assert sorted((one["claim"], one.get("segment")) for one in fired) == [
        ("each", "model=b"), ("like-for-like", None),
    ]  # fmt: skip
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
