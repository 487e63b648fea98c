"""What `nibai run` does by itself: looks that decide once, reports that decide nothing."""

import logging
from dataclasses import replace
from types import SimpleNamespace

import pytest
from support.onwatch import CUT, DAY, SAME, SILENT, TWICE, declared, fill, on_watch

from nibai.app.onwatch import reports
from nibai.app.onwatch.jobs import configured_jobs, take_reports, wakes
from nibai.app.onwatch.keeper import Keeper
from nibai.app.onwatch.standing import Board, Reading
from nibai.app.onwatch.tally import Tally
from nibai.app.watch import Watch
from nibai.errors import ConfigError, StoreError
from nibai.fleet import FleetAudit
from nibai.model import AlertState, Change, ReasonCode, Resolution, Verdict, Window
from nibai.schedule import SlotState
from nibai.store.state.alerts import alerts as stored_alerts
from nibai.store.state.detectors import detectors
from nibai.store.state.revisions import LatePushes
from nibai.store.wal.ingest import IngestStats

HOUR = 3600.0


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onwatch")
    fill(folder)
    return folder


@pytest.fixture
def watch(lake, tmp_path):
    made = on_watch(tmp_path, lake, CUT + 600)
    yield made
    made.desk.state.close()


def job(watch, name):
    return next(one for one in configured_jobs(watch.office) if one.name == name)


def run_until(watch, until, *, every=300.0, name="follow"):
    """Wake as the clock goes on; everything is folded at once."""
    work = job(watch, name)
    while watch.clock.now < until:
        watch.folded(watch.clock.now)
        watch.office.turns.take(work)
        watch.clock.now += every


# -- following -------------------------------------------------------------------------------


def test_a_decided_verdict_is_stored_once_and_told_with_its_audit(watch):
    change = declared(watch.desk, "1.5x faster at p50")
    watch.clock.now = CUT + 3 * HOUR
    run_until(watch, CUT + 6 * HOUR, every=1800.0)
    first = watch.rounds[0].standings[0]
    assert first.verdict is Verdict.INCONCLUSIVE
    assert first.audit is None
    (last,) = watch.rounds[-1].standings
    assert last.verdict is Verdict.CONFIRMED
    assert last.change.id == change.id
    assert last.reason.code is ReasonCode.MEETS_CLAIM
    (stored,) = watch.desk.state.audits()
    assert stored[0] == last.audit
    assert stored[0].startswith("watch-")
    assert watch.desk.stored(last.audit).verdict is Verdict.CONFIRMED
    # Told within two intervals of the end of the block that decided (blocks settle 5 minutes).
    decided = [seen.at for seen in watch.rounds if seen.standings[0].decided_at is not None]
    assert decided[0] - last.decided_at <= 300 + 2 * 1800
    assert [audit.id for audit in watch.audits] == [last.audit]


def test_another_process_goes_on_and_stores_nothing_twice(lake, tmp_path):
    one = on_watch(tmp_path, lake, CUT + 600)
    declared(one.desk, "1.5x faster at p50", "1.5x faster at p90")
    one.clock.now = CUT + 4 * HOUR
    run_until(one, CUT + 5 * HOUR, every=3600.0)
    two = on_watch(tmp_path, lake, one.clock.now, "two")
    both = [one, two]
    while one.clock.now < CUT + 10 * HOUR:
        for watch in both:
            watch.clock.now = one.clock.now
            watch.folded(watch.clock.now)
            watch.office.turns.take(job(watch, "follow"))
        both.reverse()
        one.clock.now += 3600
    ids = [row[0] for row in one.desk.state.audits()]
    assert len(ids) == len(set(ids))
    assert 1 <= len(ids) <= 2, "one for each set of decided sentences"
    slots = [seen.at for seen in (*one.rounds, *two.rounds)]
    looked = one.counted("nibai_audit_slots_total"), two.counted("nibai_audit_slots_total")
    assert sum(found[("follow", "done")] for found in looked) == len(set(slots))
    for watch in (one, two):
        watch.desk.state.close()


def test_a_silent_endpoint_has_no_data_and_one_is_superseded(watch):
    older = declared(watch.desk, "2x faster at p50", endpoint=SILENT)
    newer = declared(watch.desk, "2x faster at p50", endpoint=SILENT, effective_at=CUT + HOUR / 2)
    watch.clock.now = CUT + 6 * HOUR
    watch.folded(watch.clock.now)
    watch.office.turns.take(job(watch, "follow"))
    (seen,) = watch.rounds
    by_change = {standing.change.id: standing for standing in seen.standings}
    assert by_change[older.id].superseded_by == newer.id
    assert by_change[newer.id].superseded_by is None
    assert by_change[newer.id].no_data_since == CUT + HOUR - 4 * 60
    assert by_change[newer.id].verdict is Verdict.INCONCLUSIVE
    assert watch.office.follower.look(CUT + 20 * DAY)[0].no_data_since == CUT + HOUR - 4 * 60


def test_changes_without_claims_runs_and_old_ones_are_not_followed(watch):
    declared(watch.desk)
    declared(watch.desk, "2x faster", runs=True)
    declared(watch.desk, "2x faster", effective_at=CUT - 31 * DAY)
    declared(watch.desk, "2x faster", effective_at=CUT + DAY)
    watch.folded(watch.clock.now)
    watch.office.turns.take(job(watch, "follow"))
    assert watch.rounds[0].standings == ()


def test_one_change_that_cannot_be_read_stops_no_other(watch, monkeypatch, caplog):
    bad = declared(watch.desk, "2x faster at p50", endpoint=SAME)
    declared(watch.desk, "1.5x faster at p50")
    watch.folded(watch.clock.now)
    follower = watch.office.follower
    follower.look(watch.clock.now)

    def fail(_now):
        raise StoreError("the table is gone")

    monkeypatch.setattr(type(follower._kept[bad.id].watch), "look", lambda self, now: (
        fail(now) if self.change.id == bad.id else None
    ))  # fmt: skip
    standings = follower.look(watch.clock.now + 300)
    assert len(standings) == 2, "what it stood at stays, nothing looks withdrawn"
    assert f"change {bad.id} cannot be looked at: the table is gone" in caplog.text
    assert follower.unseen == {bad.id}


def test_a_change_that_breaks_at_the_first_look_stops_no_other_and_is_not_withdrawn(
    watch, monkeypatch
):
    bad = declared(watch.desk, "2x faster at p50", endpoint=SAME)
    declared(watch.desk, "1.5x faster at p50")
    watch.folded(watch.clock.now)

    def fail(_desk, change, _level):
        if change.id == bad.id:
            raise KeyError("a defect")
        return Watch(_desk, change, _level)

    monkeypatch.setattr("nibai.app.onwatch.follow.Watch", fail)
    watch.office.turns.take(job(watch, "follow"))
    assert len(watch.rounds[0].standings) == 1
    assert watch.rounds[0].unseen == {bad.id}


def test_predictions_are_judged_from_all_answers(watch):
    declared(watch.desk, "same predictions within 2%")
    (standing,) = watch.office.follower.look(watch.clock.now)
    assert standing.verdict in (Verdict.NOT_COMPARABLE, Verdict.INCONCLUSIVE)
    assert standing.findings[0].reason.text


# -- reports ---------------------------------------------------------------------------------


def test_reports_describe_and_say_a_disagreement_in_words(watch):
    change = declared(watch.desk, "1.5x faster at p50")
    watch.clock.now = CUT + 7 * HOUR
    run_until(watch, CUT + 8 * HOUR, every=1800.0)
    assert watch.rounds[-1].standings[0].verdict is Verdict.CONFIRMED
    watch.clock.now = CUT + DAY + 60
    watch.folded(watch.clock.now)
    assert take_reports(watch.office, lambda: False) == 1
    assert take_reports(watch.office, lambda: False) == 0
    newest = watch.desk.state.audits()[0]
    audit = watch.desk.stored(newest[0])
    assert newest[0].startswith("report-")
    assert audit.created_at == CUT + DAY
    assert audit.reason.text.startswith("estimate at 24 h: ")
    assert audit.notes[0] == (
        "estimate at 24 h: describes a fixed window and decides nothing; the watch decides"
    )
    other = replace(audit.sentences[0], verdict=Verdict.INCONCLUSIVE)
    found = Watch(watch.desk, change, 0.95)
    assert reports.disagreements(found, audit, CUT + DAY) == []
    assert reports.disagreements(found, replace(audit, sentences=(other,)), CUT + DAY) == [
        (
            "“1.5x faster at p50” is decided: confirmed, watched block by block; this fixed "
            "window alone says inconclusive. The decision stays"
        )
    ]
    assert watch.office.follower.look(watch.clock.now)[0].verdict is Verdict.CONFIRMED
    assert change.id == newest[1]
    slots = watch.counted("nibai_audit_slots_total")
    assert slots["report", "done"] == 1
    assert slots["report", "skipped"] == 1, "6 h passed while nobody was woken"


def test_a_first_failure_is_a_rise(watch):
    # increase() and rate() see nothing in a series that begins at 1.
    assert watch.counted("nibai_audit_slots_total")["follow", "failed"] == 0
    assert watch.counted("nibai_audit_runs_total")["report", "failed"] == 0


def test_a_report_waits_for_its_data_and_not_for_ever(watch):
    declared(watch.desk, "1.5x faster at p50")
    watch.clock.now = CUT + 6 * HOUR + 60
    watch.folded(CUT + 5 * HOUR)
    assert take_reports(watch.office, lambda: False) == 0
    watch.clock.now = CUT + 12 * HOUR
    assert take_reports(watch.office, lambda: False) == 1


def test_a_report_below_a_day_is_about_the_same_hours_of_the_day_before():
    change = Change("chg-1", TWICE, effective_at=CUT)
    assert reports.report_windows(change, 6 * HOUR) == (
        Window(CUT - DAY, CUT - DAY + 6 * HOUR), Window(CUT, CUT + 6 * HOUR),
    )  # fmt: skip
    slow = Change("chg-1", TWICE, effective_at=CUT, started_at=CUT - HOUR)
    before, _ = reports.report_windows(slow, DAY)
    assert before == Window(CUT - 2 * DAY, CUT - DAY), "no minute of the deployment"
    beside = Change("chg-1", TWICE, baseline_variant="a", candidate_variant="b", declared_at=CUT)
    assert len(set(reports.report_windows(beside, DAY))) == 1


# -- alerts ----------------------------------------------------------------------------------

RULES = """
apiVersion: nibai.dev/v1alpha1
kind: RuleSet
groups:
- name: claims
  rules:
  - claim: "2x faster at p50"
    name: twice
    where: {endpoint: "onprem/tokyo/*"}
    alert: {refuted: {severity: critical}}
"""


def test_a_rule_claims_of_a_change_and_its_refutation_fires_once(lake, tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    watch = on_watch(tmp_path, lake, CUT + 600, rules=str(tmp_path / "rules.yaml"))
    declared(watch.desk, endpoint=SAME)  # nothing is claimed by who declared it
    watch.clock.now = CUT + 7 * HOUR
    run_until(watch, CUT + 8 * HOUR, every=1800.0)
    (standing,) = watch.rounds[-1].standings
    assert (standing.sentence.text, standing.verdict) == ("2x faster at p50", Verdict.REFUTED)
    alerts = stored_alerts(watch.desk.state)
    assert [alert.state for alert in alerts] == [AlertState.FIRING]
    assert alerts[0].labels["endpoint"] == SAME
    assert watch.counted("nibai_alerts") == {("pending",): 0, ("firing",): 1, ("resolved",): 0}
    assert alerts[0].fired_at is not None
    watch.desk.state.close()


def test_a_process_whose_look_is_not_the_newest_tells_nothing_new(lake, tmp_path):
    one, two = (on_watch(tmp_path, lake, CUT + 600, owner) for owner in ("one", "two"))
    declared(one.desk, "1.5x faster at p50")
    for watch, at in ((one, CUT + 600), (two, CUT + 900)):
        watch.clock.now = at
        watch.folded(at)
        watch.office.turns.take(job(watch, "follow"))
    assert (len(one.rounds), len(two.rounds)) == (1, 1)
    one.clock.now = two.clock.now
    one.office.tell()
    two.office.tell()
    # Each considers its own collectors and delivers what is kept: the newest look may have failed,
    # or its process died.
    assert [seen.looked for seen in one.rounds] == [True, False]
    assert [seen.looked for seen in two.rounds] == [True, True]
    assert one.rounds[-1].standings == ()
    assert [c.collector for c in one.rounds[-1].collectors] == ["main"]
    for watch in (one, two):
        watch.desk.state.close()


def test_a_collector_that_goes_quiet_is_told_while_looks_fail(lake, tmp_path, monkeypatch):
    (tmp_path / "rules.yaml").write_text(RULES)
    watch = on_watch(tmp_path, lake, CUT + 600, rules=str(tmp_path / "rules.yaml"))
    declared(watch.desk, endpoint=SAME)

    def fail(_at):
        raise StoreError("the lake cannot be read")

    monkeypatch.setattr(watch.office.follower, "look", fail)
    watch.folded(watch.clock.now)
    watch.office.turns.take(job(watch, "follow"))
    watch.office.tell()
    assert stored_alerts(watch.desk.state) == []
    watch.clock.now += HOUR
    watch.office.tell()
    (alert,) = stored_alerts(watch.desk.state)
    assert (alert.labels["alertname"], alert.state) == ("NibaiCollectorQuiet", AlertState.FIRING)
    watch.folded(watch.clock.now)
    watch.office.tell()
    (alert,) = stored_alerts(watch.desk.state)
    assert alert.resolution is Resolution.DATA_RETURNED
    watch.desk.state.close()


def test_a_state_that_is_away_makes_it_unwell_and_not_unready(watch):
    def away(*_):
        raise StoreError("the state cannot be reached")

    ingest = SimpleNamespace(stats=lambda: IngestStats(0, 0, 0, 0, 0, watch.clock.now))
    state = SimpleNamespace(lease=away)
    late = LatePushes(state, "main", watch.clock)
    keeper = Keeper(
        watch.config, ingest, state, late, owner="one", board=watch.board, tally=watch.tally,
        clock=watch.clock,
    )  # fmt: skip
    assert (keeper.health()[0], keeper.ready()[0]) == (True, True)
    # One round of its thread.
    keeper._stopping.wait = lambda _seconds: keeper._stopping.set()
    keeper._work()
    keeper._stopping.clear()
    assert (keeper.health()[0], keeper.ready()[0]) == (False, True)
    assert keeper.health()[1]["problem"] == "the state cannot be reached"


# -- the other jobs ---------------------------------------------------------------------------


def test_the_weekly_fleet_audit_is_stored_once(watch, caplog):
    caplog.set_level(logging.INFO)
    fleet = job(watch, "fleet")
    fleet.run(CUT + DAY)
    assert "no fleet audit: there is nothing to audit" in caplog.text
    declared(watch.desk, "1.5x faster at p50")
    declared(watch.desk, "1.5x faster at p50", endpoint=SAME)
    fleet.run(CUT + DAY)
    fleet.run(CUT + DAY)
    (stored,) = watch.desk.state.audits()
    audit = watch.desk.stored(stored[0])
    assert isinstance(audit, FleetAudit)
    assert audit.created_at == CUT + DAY
    assert len(audit.endpoints) == 2


def test_the_detectors_look_at_their_slots(watch, caplog):
    for name in ("changes", "outputs"):
        job(watch, name).run(CUT + HOUR)
    assert detectors(watch.desk.state, 300.0), "series are being learned"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_jobs_are_those_of_the_configuration(lake, tmp_path):
    off = {"follow": None, "fleet": None, "changes": {"cron": "*/10 * * * *"}, "reports": []}
    made = on_watch(tmp_path, lake, CUT, schedule=off)
    assert [one.name for one in wakes(made.office)] == ["changes", "outputs", "alerting"]
    broken = on_watch(tmp_path, lake, CUT, schedule={"fleet": {"cron": "99 6 * * mon"}})
    with pytest.raises(ConfigError, match=r"schedule\.fleet\.cron: '99 6 \* \* mon' is no cron"):
        configured_jobs(broken.office)
    for watch in (made, broken):
        watch.desk.state.close()


# -- how everything stands --------------------------------------------------------------------


def test_a_collector_that_went_quiet_is_told_and_its_interval_is_allowed_for():
    board = Board(900.0, since=1000.0)
    assert board.final_until() is None
    assert board.round(2000.0) is None
    board.looked(1900.0, ())
    board.read("main", Reading(1900.0, 60.0))
    board.read("cloudwatch-123456789012-eu-west-1", Reading(None, 3600.0, "throttled"))
    assert board.final_until() is None
    main, cloud = sorted(board.round(2000.0).collectors, key=lambda c: c.collector != "main")
    assert (main.lag_seconds, main.quiet_since, main.problem) == (100.0, None, None)
    assert (cloud.lag_seconds, cloud.quiet_since, cloud.problem) == (None, None, "throttled")
    later = {c.collector: c for c in board.round(1000.0 + 900 + 7201).collectors}
    assert later["main"].quiet_since == 1900.0
    assert later["cloudwatch-123456789012-eu-west-1"].quiet_since == 1000.0
    assert board.allowed_seconds("sagemaker/123456789012.eu-west-1/chat") == 900.0 + 7200.0
    assert board.allowed_seconds("onprem/tokyo/ocr") == 900.0
    board.read("prometheus-main", Reading(1900.0, 600.0, endpoints=frozenset({"onprem/tokyo/ocr"})))
    assert board.allowed_seconds("onprem/tokyo/ocr") == 900.0 + 1200.0
    assert board.allowed_seconds("onprem/tokyo/asr") == 900.0
    board.read("cloudwatch-123456789012-eu-west-10", Reading(1900.0, 7200.0))
    assert board.allowed_seconds("sagemaker/123456789012.eu-west-1/chat") == 900.0 + 7200.0
    reading = Reading(1900.0, 3600.0, provisional_seconds=1000.0)
    board.read("cloudwatch-123456789012-eu-west-1", reading)
    assert board.final_until() == 900.0, "reports wait until minutes are not revised any more"


def test_the_tally_counts_by_the_names_of_the_registry():
    tally = Tally()
    tally.add("nibai_audit_slots_total", 2, task="follow", state=str(SlotState.DONE))
    tally.add("nibai_audit_slots_total", task="follow", state="done")
    tally.set("nibai_wal_bytes", 5.0)
    tally.observe("nibai_commit_seconds", 0.5)
    tally.observe("nibai_commit_seconds", 0.25)
    assert tally.numbers()["nibai_audit_slots_total"] == {("follow", "done"): 3.0}
    histogram, total = tally.times()["nibai_commit_seconds"][()]
    assert (int(histogram.n[0]), total) == (2, 0.75)
    with pytest.raises(KeyError):
        tally.add("nibai_audit_slots_total", task="follow")
    with pytest.raises(KeyError):
        tally.set("nibai_audit_slots_total", 1.0, task="follow", state="done")
