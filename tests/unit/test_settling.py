"""From which age on minutes are taken, learned from reading them young and again later."""

import numpy as np
import pytest
from support.late_minutes import watched_day

from collector.cloudwatch.source import _cadence
from nibai import plugins
from nibai.app.audit import Desk
from nibai.app.collect import configured
from nibai.app.keeping import Keeper
from nibai.app.settling import Settling
from nibai.app.watch import Watch
from nibai.app.watch_audit import findings_of
from nibai.claims import parse
from nibai.config import Config
from nibai.histogram import bucket_index
from nibai.model import Change, Observation, Provenance, SeriesKey, Verdict, Window
from nibai.protocols import Pulled
from nibai.stats.settling import AGES_SECONDS, HourOfMinutes, is_rare, learned
from nibai.store.lake.delta import Lake
from nibai.store.pulled.observations import Stored, difference
from nibai.store.state.database import open_state
from nibai.store.state.settling import learned_ages, note_seen
from nibai.store.wal.ingest import Ingest

HOUR, DAY = 3600.0, 86_400.0
MONDAY = 19_002 * DAY  # 2022-01-10
CUT = MONDAY + 2 * DAY
ENDPOINT = "sagemaker/123456789012.eu-west-1/chat"
KEY = SeriesKey(ENDPOINT, "fp32", "", "", "latency")
SOURCE, SERIES = "cloudwatch-123456789012-eu-west-1", "ModelLatency/EndpointName=chat"
PER_MINUTE, EVERY = 30, 10
"""Requests of a minute that has any, one in so many."""
REREAD = 3 * HOUR
TEN_MINUTES = AGES_SECONDS[0]
ALL = (1 << len(AGES_SECONDS)) - 1


def observed(minute, seconds, **options):
    buckets, counts = np.unique(bucket_index(seconds), return_counts=True)
    return Observation(
        KEY, int(minute), buckets.astype(np.int32), counts, len(seconds), float(seconds.sum()),
        float(seconds.min()), float(seconds.max()), **options,
    )  # fmt: skip


def teach(state, until):
    """A week of quiet hours, as if it had been read."""
    hours = range(int((until - 7 * DAY) // HOUR), int(until // HOUR))
    note_seen(state, SOURCE, {(ENDPOINT, int(h * HOUR)): (ALL, 0) for h in hours})


class Source:
    """A minute in ten has requests; what is late of it is there after two hours."""

    def __init__(self, folder, *, faster=1.0, learns=True):
        self.folder, self.learns, self.read_until = folder, learns, MONDAY
        self.state = open_state(folder / "state.sqlite")
        rng = np.random.default_rng(7)
        first = int(MONDAY // 60)
        self.seconds = {
            minute: np.sort(rng.lognormal(-2, 0.4, PER_MINUTE)) / (faster if after else 1)
            for minute in range(first, first + 3 * 24 * 60, EVERY)
            for after in [minute * 60 >= CUT]
        }
        self.late_from = self.late_until = 0.0
        self.now = MONDAY
        self.desk = Desk(self.state, Lake(folder / "data" / "lake"), lambda: self.now)

    def read(self, end, *, moment=None):
        """Everything since the last reading, and three hours again."""
        window = Window(self.read_until - REREAD, end)
        found = []
        for minute, seconds in self.seconds.items():
            if window.start <= minute * 60 < window.end:
                late = self.late_from <= minute * 60 < self.late_until
                young = late and minute * 60 >= end - 2 * HOUR
                found.append(observed(minute, seconds[: PER_MINUTE // 2 if young else PER_MINUTE]))
        self.now = end + 180 if moment is None else moment
        self.read_until = end
        return self.keep(found, window)

    def keep(self, found, window):
        ingest = Ingest(self.folder / "data", SOURCE, self.state, clock=lambda: self.now)
        keeper = Keeper(
            self.folder / "data", ingest, self.state, lambda: self.now, learns=self.learns
        )
        part = Pulled(
            found, window, {SERIES: window.end}, 0.0, {},
            final_until={SERIES: window.end - REREAD},
            brings={SERIES: [(ENDPOINT, "fp32", "latency")]},
        )  # fmt: skip
        kept = keeper.keep(SOURCE, part)
        keeper.flush()
        ingest.close()
        return kept

    def taught(self, until):
        teach(self.state, until)

    def declared(self, claim):
        change = Change("", ENDPOINT, effective_at=CUT, sentences=(parse(claim),))
        return self.desk.declare(change)


@pytest.fixture
def source(tmp_path):
    made = Source(tmp_path, faster=64.0)
    yield made
    made.state.close()


def hours(count, changed=()):
    return [HourOfMinutes(h * HOUR, ALL, changed.count(h) and ALL) for h in range(count)]


# -- what may be learned ------------------------------------------------------------------------


@pytest.mark.parametrize(("changed", "least"), [(0, 99), (1, 157), (2, 208)])
def test_so_many_hours_are_needed_for_an_age(changed, least):
    assert not is_rare(changed, least - 1)
    assert is_rare(changed, least)


def test_the_promise_of_an_age_is_kept_where_hours_are_alike():
    """Of sources in which 3 % of hours change late, at most 5 % get an age (R = 2000)."""
    rng, trusted = np.random.default_rng(4), 0
    for changed in rng.binomial(336, 0.03, 2000).tolist():
        trusted += is_rare(changed, 336)
    assert trusted / 2000 <= 0.05 + 2 * (0.05 * 0.95 / 2000) ** 0.5
    assert trusted > 0


def test_ages_are_told_apart_and_a_change_of_today_counts_at_once():
    over = 130 * HOUR
    quiet = hours(125)
    assert learned(quiet, over).age_seconds == TEN_MINUTES
    assert learned(hours(98), over).age_seconds is None
    assert learned(hours(98), over).why == (
        "98 hours have minutes that were read 120 minutes after their end and again later, 99 tell"
    )
    # Half an hour is too young, three quarters are not.
    late = [HourOfMinutes(h * HOUR, ALL, 0b01111) for h in range(0, 125, 12)]
    found = learned([*quiet, *late], over)
    assert (found.age_seconds, found.hours, found.changed) == (2700.0, 136, 0)
    today = HourOfMinutes(129 * HOUR, 0, ALL)
    found = learned([*quiet, today], over)
    assert (found.age_seconds, found.why) == (
        None,
        "minutes of 1 hour(s) of the last day changed later than 120 minutes after their end",
    )
    # A day later it is one of 14 days.
    assert learned([*hours(170), today], 162 * HOUR).age_seconds == TEN_MINUTES
    assert learned([*hours(100), today], 162 * HOUR).age_seconds is None
    assert learned(quiet, over + 14 * DAY).age_seconds is None, "long ago is forgotten"


# -- what readings teach ------------------------------------------------------------------------


class Readings:
    """Readings of one source, kept in memory instead of a lake."""

    def __init__(self, folder):
        self.state, self.stored, self.now, self.learns = (
            open_state(folder / "s.sqlite"),
            {},
            0.0,
            True,
        )

    def read(self, end, requests, *, moment=None, provenance=Provenance.EXACT):
        """Minutes by number with how many requests they have; which changed beyond the age."""
        self.now = end + 180 if moment is None else moment
        found = [
            observed(minute, np.full(n, 0.1), provenance=provenance)
            for minute, n in requests.items()
        ]
        settling = Settling(self.state, SOURCE, lambda: self.now, learns=self.learns)
        beyond = settling.note(found, difference(found, self.stored), self.stored)
        for one in found:
            kind = one.provenance.value
            buckets = {(kind, one.scale, int(b)): int(n) for b, n in
                       zip(one.buckets, one.bucket_counts, strict=True)}  # fmt: skip
            cells = {kind: (one.count, one.sum, one.errors, one.timeouts)}
            self.stored[one.key, one.minute] = Stored(cells, buckets, one.min, one.max)
        brings = {SERIES: [(ENDPOINT, "fp32", "latency")]}
        settling.read({SERIES: end}, {SERIES: end - REREAD}, brings)
        return len(beyond)

    def learned(self, later=0.0):
        return learned_ages(self.state, ENDPOINT, self.now + later).get(SOURCE)

    def taught(self, until):
        teach(self.state, until)


@pytest.fixture
def readings(tmp_path):
    made = Readings(tmp_path)
    yield made
    made.state.close()


def hour_of(hours):
    """One minute of an hour after Monday, as a number."""
    return int((MONDAY + hours * HOUR) // 60)


def test_hourly_readings_teach_and_a_backfill_does_not(readings):
    quiet = {hour_of(h): 9 for h in range(1, 12)}
    readings.read(MONDAY + 5 * HOUR, quiet, moment=MONDAY + 9 * HOUR)
    assert readings.learned() is None
    for hour in range(9, 13):
        assert readings.read(MONDAY + hour * HOUR, quiet) == 0
    assert readings.learned(4 * HOUR).why == (
        "4 hours have minutes that were read 120 minutes after their end and again later, 99 tell"
    )
    readings.taught(MONDAY + 8 * HOUR)
    assert readings.learned().age_seconds == TEN_MINUTES
    readings.learns = False
    readings.read(MONDAY + 13 * HOUR, quiet)
    assert readings.learned() is None, "what was learned is forgotten"


def test_late_minutes_teach_that_an_age_is_too_young(readings):
    minute = hour_of(8.5)
    readings.read(MONDAY + 9 * HOUR, {minute: 9})
    readings.taught(MONDAY + 8 * HOUR)
    assert readings.read(MONDAY + 10 * HOUR, {minute: 9}) == 0
    assert readings.learned().age_seconds == TEN_MINUTES
    assert readings.read(MONDAY + 11 * HOUR, {minute: 10}) == 1, "ninety minutes old and changed"
    assert readings.learned().age_seconds == 5400.0
    assert readings.read(MONDAY + 12 * HOUR, {minute: 11, hour_of(10.9): 5}) == 1
    assert readings.learned().age_seconds is None, "two and a half hours, and something changed"
    assert readings.read(MONDAY + 13 * HOUR, {minute: 12}) == 0, "nobody takes them any more"


def test_what_was_nothing_and_is_something_changed(readings):
    readings.read(MONDAY + 9 * HOUR, {hour_of(8): 9})
    readings.taught(MONDAY + 8 * HOUR)
    assert readings.read(MONDAY + 10 * HOUR, {hour_of(8.5): 1}) == 1
    assert readings.read(MONDAY + 11 * HOUR, {hour_of(10.5): 1}) == 0, "it was not read before"


def test_what_was_fitted_and_is_counted_now_did_not_change(readings):
    minute, end = hour_of(8), MONDAY + 9 * HOUR
    readings.read(end, {minute: 9}, provenance=Provenance.PERCENTILE_FIT)
    readings.taught(MONDAY + 5 * HOUR)
    assert readings.read(end, {minute: 9}, provenance=Provenance.TC) == 0
    assert readings.read(end, {minute: 8}, provenance=Provenance.TC) == 1


def test_finality_switches_it_off_and_the_readings_that_serve_it(monkeypatch):
    class Silent:
        series = ()

        def preview(self, _):
            raise AssertionError

        pull = preview

    monkeypatch.setattr(plugins, "load", lambda *_: Silent())
    section = {"account": "123456789012", "region": "eu-west-1", "endpoints": {"chat": ["blue"]}}
    for finality, learns in (("learned", True), ("reread", False)):
        (one,) = Config.model_validate(
            {"cloudwatch": [{**section, "finality": finality}]}
        ).cloudwatch
        (source,) = configured(Config(cloudwatch=(one,)))
        assert source.learns is learns
        assert _cadence(dict(one)).by_blocks is learns


# -- what watches do with it --------------------------------------------------------------------


def looked(source, end):
    source.read(end)
    watch = source.watch
    watch.look(source.now)
    (part,) = watch.parts
    return part.verdict


def test_a_watch_decides_ten_minutes_after_the_block_instead_of_three_hours(source):
    """Nine blocks decide that 64 times is more than 1.5: the last one ends after 4.5 hours."""
    source.read(CUT)
    source.taught(CUT)
    source.watch = Watch(source.desk, source.declared("1.5x faster at p50"), 0.95)
    block = CUT + 4.5 * HOUR
    assert looked(source, block + 540) is Verdict.INCONCLUSIVE
    assert looked(source, block + 600) is Verdict.CONFIRMED
    (early,) = source.watch.parts
    assert (early.track.decided, (source.now - block) / 60) == (8, 13)
    (finding,) = findings_of(source.watch)
    assert finding.reason.text.endswith(
        f"after the change, read at an age of 10 minutes (in {early.track.hours} hours seen, fewer "
        "than 3 % of them changed later, at 95 %)"
    )
    # What is not trusted is not taken: three hours, and the same block decides from the same sums.
    source.learns = False
    source.watch = Watch(source.desk, source.declared("1.4x faster at p50"), 0.95)
    assert looked(source, block + 3 * HOUR - 60) is Verdict.INCONCLUSIVE
    assert looked(source, block + 3 * HOUR) is Verdict.CONFIRMED
    (whole,) = source.watch.parts
    assert (whole.track.decided, whole.track.sums) == (8, early.track.sums)
    (finding,) = findings_of(source.watch)
    assert finding.reason.text.endswith("after the change")


def test_what_does_not_decide_is_read_again_until_it_is_final(source):
    """Half of the minutes come late, the slow half: nothing of that stays in the evidence."""
    source.read(CUT)
    source.taught(CUT)
    source.late_from, source.late_until = CUT, CUT + HOUR
    source.watch = Watch(source.desk, source.declared("1.5x faster at p50"), 0.95)
    for hours in (1.5, 2.5, 5):
        assert looked(source, CUT + hours * HOUR) is Verdict.INCONCLUSIVE
    (part,) = source.watch.parts
    assert part.track.last == 3
    (finding,) = findings_of(source.watch)
    assert "p50: blocks may decide from an age of 120 minutes" in finding.evidence.notes[-1]
    whole = Watch(source.desk, source.declared("1.4x faster at p50"), 0.95)
    whole.look(source.now)
    assert whole.parts[0].track.sums == part.track.sums


def test_minutes_that_change_after_they_decided_are_counted_and_said(source):
    source.read(CUT)
    source.taught(CUT)
    source.watch = Watch(source.desk, source.declared("1.5x faster at p50"), 0.95)
    assert looked(source, CUT + 5 * HOUR + 600) is Verdict.CONFIRMED
    (part,) = source.watch.parts
    assert source.watch.revised(part) == 0
    minute = int((CUT + 4 * HOUR) // 60)
    window = Window(CUT + 3 * HOUR, source.read_until)
    assert source.keep([observed(minute, np.full(PER_MINUTE, 9.0))], window).unsettled == 1
    source.watch.look(source.now)
    assert source.watch.parts[0].verdict is Verdict.CONFIRMED, "a verdict reached stays"
    assert source.watch.revised(part) == 1
    other = Watch(source.desk, source.declared("1.4x faster at p50"), 0.95)
    other.look(source.now)
    assert other.parts[0].verdict is Verdict.INCONCLUSIVE
    (finding,) = findings_of(other)
    assert finding.evidence.notes[-1].startswith(
        "p50: blocks may decide from an age of 90 minutes (in "
    )


@pytest.mark.parametrize(("late_from", "age"), [(np.inf, TEN_MINUTES), (0.0, 2 * HOUR)])
def test_a_day_is_decided_as_early_as_its_minutes_are_known(late_from, age):
    """Twelve days whose true change is large; `make test-slow` does unchanged ones, R = 400."""
    rng = np.random.default_rng(11)
    found = [watched_day(rng, 0.5, faster=0.5, late_from=late_from) for _ in range(12)]
    assert {day.age_seconds for day in found} == {age}
    assert {day.waited_minutes for day in found} == {13.0 if age == TEN_MINUTES else 133.0}
