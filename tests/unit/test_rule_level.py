"""A rule's `level`: what is refuted is watched on until the rule counts it, and told once."""

import math
import re

import pytest
import yaml
from support.onwatch import CUT, TWICE, declared, fill, on_watch

from alerts.book import Book
from alerts.rules.ruleset import RuleSet
from nibai.app.onwatch.exporter import Exporter
from nibai.app.onwatch.jobs import configured_jobs
from nibai.claims import parse
from nibai.model import Change
from nibai.store.state.alerts import alerts
from nibai.store.wal.ingest import IngestStats

HOUR = 3600.0
CLAIM = "3x faster at p50"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lake")
    fill(folder)
    return folder


def document(*rules):
    groups = [{"name": "g", "rules": list(rules)}]
    return {"apiVersion": "nibai.dev/v1alpha1", "kind": "RuleSet", "groups": groups}


def watched(folder, lake, *rules):
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(document(*rules)), encoding="utf-8")
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


def test_a_rule_with_a_higher_level_fires_when_the_evidence_reaches_it(tmp_path, lake):
    watch = watched(tmp_path, lake, {"claim": "declared", "level": 0.99})
    verdict, before, firing = look(watch, 5)
    assert (verdict, firing) == ("refuted", [])
    assert -math.log(0.05) <= before < -math.log(0.01)
    watch.desk.state.close()
    # Another process goes on where it was.
    watch = on_watch(tmp_path, lake, CUT + 5 * HOUR, rules=str(tmp_path / "rules.yaml"))
    verdict, after, firing = look(watch, 10)
    assert (verdict, firing) == ("refuted", ["NibaiClaimRefuted"])
    assert after >= -math.log(0.01)
    # Exported rules compare with the same evidence, which is newer than the decision.
    assert exported(watch) == pytest.approx(1 - math.exp(-after))
    # Then the watch is over, and what decided it is stored once, at the watch's own level.
    assert look(watch, 20)[1] == after
    assert len(watch.desk.state.audits()) == 1
    watch.desk.state.close()


def test_the_first_rule_that_has_a_sentence_says_its_level():
    written = {"claim": CLAIM, "level": 0.999, "where": {"endpoint": "a/b/*"}}
    rules = Book(RuleSet.model_validate(document(written, {"claim": "declared", "level": 0.99})))
    for endpoint, level in (("a/b/c", 0.999), (TWICE, 0.99)):
        assert rules.asked(Change("c", endpoint), parse(CLAIM)) == level
    assert Book(RuleSet.model_validate(document(written))).asked(
        Change("c", TWICE), parse(CLAIM)
    ) is (None)
