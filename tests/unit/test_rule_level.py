"""A rule's `level`: what is refuted is watched on until the rule counts it, and told once."""

import math
import re

import pytest
import yaml
from support.onwatch import CUT, TWICE, declared, fill, on_watch

from nibai.app.onwatch.exporter import Exporter
from nibai.app.onwatch.jobs import configured_jobs
from nibai.store.alerts import alerts
from nibai.store.ingest import IngestStats

HOUR = 3600.0
CLAIM = "3x faster at p50"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lake")
    fill(folder)
    return folder


def watched(folder, lake, *rules):
    path = folder / "rules.yaml"
    document = {
        "apiVersion": "nibai.dev/v1alpha1", "kind": "RuleSet",
        "groups": [{"name": "g", "rules": list(rules)}],
    }  # fmt: skip
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    watch = on_watch(folder, lake, CUT + HOUR, rules=str(path))
    declared(watch.desk, CLAIM, endpoint=TWICE)
    return watch


def look(watch, hours):
    """Everything as it stands so many hours after the change: (verdict, ln e, who fires)."""
    (follow,) = [job for job in configured_jobs(watch.office) if job.name == "follow"]
    watch.clock.now = CUT + hours * HOUR
    watch.folded(watch.clock.now)
    watch.office.turns.take(follow)
    watch.office.tell()
    (standing,) = watch.board.round(watch.clock.now).standings
    firing = [one.labels["alertname"] for one in alerts(watch.desk.state) if one.fired_at]
    return standing.verdict.value, standing.findings[0].evidence.log_e_value, firing


def exported(watch):
    exporter = Exporter(
        watch.config, watch.desk, board=watch.board, tally=watch.tally,
        stats=lambda: IngestStats(0, 0, 0, 0, 0, None), claimed=watch.office.claimed,
    )  # fmt: skip
    text = exporter.scrape("")[1].decode()
    return float(re.search(r"nibai_claim_refuted_level_ratio\{.*\} (\S+)", text)[1])


@pytest.mark.parametrize("rule", [{"claim": CLAIM}, {"claim": "declared"}])
def test_a_rule_with_a_higher_level_fires_when_the_evidence_reaches_it(tmp_path, lake, rule):
    watch = watched(tmp_path, lake, {**rule, "level": 0.99})
    needed, seen = -math.log(0.01), []
    for hours in (4, 5, 6, 8, 10):
        seen.append(look(watch, hours))
        verdict, log_e, firing = seen[-1]
        assert bool(firing) is (verdict == "refuted" and log_e >= needed)
    assert {verdict for verdict, _, firing in seen if not firing} == {"inconclusive", "refuted"}
    assert seen[-1][2] == ["NibaiClaimRefuted"]
    # A rule that is kept: exported ones say the same of the level.
    assert exported(watch) == pytest.approx(1 - math.exp(-seen[-1][1]))
    assert exported(watch) >= 0.99
    # Then the watch is over: evidence grows no more.
    assert look(watch, 20)[1] == seen[-1][1]
    # What decided it is stored once, at the watch's own level.
    assert len(watch.desk.state.audits()) == 1
    watch.desk.state.close()


def test_without_a_higher_level_the_watch_is_over_at_its_own(tmp_path, lake):
    watch = watched(tmp_path, lake, {"claim": CLAIM})
    verdict, log_e, firing = look(watch, 6)
    assert (verdict, firing) == ("refuted", ["NibaiClaimRefuted"])
    assert log_e < -math.log(0.01)
    assert look(watch, 20)[1] == log_e
    watch.desk.state.close()


def test_another_process_goes_on_where_it_was(tmp_path, lake):
    watch = watched(tmp_path, lake, {"claim": CLAIM, "level": 0.99})
    verdict, before, firing = look(watch, 5)
    assert (verdict, firing) == ("refuted", [])
    watch.desk.state.close()
    again = on_watch(tmp_path, lake, CUT + 5 * HOUR, rules=str(tmp_path / "rules.yaml"))
    verdict, after, firing = look(again, 10)
    assert (verdict, firing) == ("refuted", ["NibaiClaimRefuted"])
    assert after > before
    again.desk.state.close()
