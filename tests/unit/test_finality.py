"""Minutes that fill up late, and minutes that change when nobody expects it, under a watch."""

import numpy as np
import pytest
from support.spans import batch

from nibai.app.audit import Desk
from nibai.app.keeping import Keeper
from nibai.app.watch import Watch
from nibai.app.watch_audit import findings_of
from nibai.app.watch_on import go_on
from nibai.claims import parse
from nibai.histogram import bucket_index
from nibai.model import Change, Observation, ReasonCode, SeriesKey, Verdict, Window
from nibai.protocols import Pulled
from nibai.store.lake.delta import Lake
from nibai.store.series.blocks import Engine
from nibai.store.state.backfills import Backfill, is_filling, note_pushed
from nibai.store.state.database import open_state
from nibai.store.state.revisions import (
    LatePushes,
    Revised,
    announce,
    newest_number,
    revised_since,
    settle,
)
from nibai.store.state.watermarks import watermarks
from nibai.store.wal.ingest import Ingest, MemoryLedger

HOUR, DAY = 3600.0, 86_400.0
MONDAY = 19_002 * DAY  # 2022-01-10
CUT = MONDAY + 2 * DAY
ENDPOINT = "sagemaker/123456789012.eu-west-1/chat"
KEY = SeriesKey(ENDPOINT, "fp32", "", "", "latency")
SOURCE, SERIES = "cloudwatch-123456789012-eu-west-1", "ModelLatency/EndpointName=chat"
PER_STEP, HOURS = 10, 8
EVERY, REREAD = 4 * HOUR, 3 * HOUR


def traffic(seed=1):
    """Requests every five minutes of two days before the change and eight hours after it."""
    rng = np.random.default_rng(seed)
    minutes = np.arange(0, int(2 * DAY + HOURS * HOUR) // 60, 5)
    return int(MONDAY // 60) + minutes, rng.lognormal(-2, 0.4, (len(minutes), PER_STEP))


def observed(minute, seconds, key=KEY):
    buckets, counts = np.unique(bucket_index(seconds), return_counts=True)
    return Observation(
        key, int(minute), buckets.astype(np.int32), counts, len(seconds), float(seconds.sum()),
        float(seconds.min()), float(seconds.max()),
    )  # fmt: skip


class Source:
    """Minutes whose slow half arrives after two hours, read every four, the last three again."""

    def __init__(self, folder, name):
        self.folder = folder / name
        self.state = open_state(folder / f"{name}.sqlite")
        self.now = CUT
        self.minutes, self.seconds = traffic()
        ingest = Ingest(self.folder, "main", MemoryLedger(), clock=lambda: CUT)
        past = self.minutes * 60 < CUT
        ingest.append(
            batch(
                self.seconds[past].ravel(), endpoint=ENDPOINT, variant="fp32", replica="",
                minute=np.repeat(self.minutes[past], PER_STEP).astype(np.int32),
            )
        )  # fmt: skip
        ingest.close()
        self.desk = Desk(self.state, Lake(self.folder / "lake"), lambda: self.now)

    def read(self, end, *, late=True):
        window = Window(max(end - EVERY - REREAD, CUT), end)
        found = []
        for minute, seconds in zip(self.minutes, self.seconds, strict=True):
            if window.start <= minute * 60 < window.end:
                young = late and minute * 60 >= end - 2 * HOUR
                found.append(observed(minute, np.sort(seconds)[: 5 if young else PER_STEP]))
        return self.keep(found, end)

    def keep(self, found, end, *, flush=True):
        window = Window(min(one.minute for one in found) * 60.0, end)
        ingest = Ingest(self.folder, SOURCE, self.state, clock=lambda: end)
        keeper = Keeper(self.folder, ingest, self.state, lambda: end)
        marks, brings = {SERIES: end}, {SERIES: [(ENDPOINT, "fp32", "latency")]}
        part = Pulled(
            found, window, marks, 0.0, {}, final_until={SERIES: end - REREAD}, brings=brings
        )
        kept = keeper.keep(SOURCE, part)
        if flush:
            keeper.flush()
            ingest.close()
        else:
            ingest._lock.release()
        self.now = end + 60
        return kept

    def declared(self, *claims):
        sentences = tuple(parse(claim) for claim in claims)
        return self.desk.declare(Change("", ENDPOINT, effective_at=CUT, sentences=sentences))


@pytest.fixture
def source(tmp_path):
    made = Source(tmp_path, "late")
    yield made
    made.state.close()


def looked(source, watch):
    watch.look(source.now)
    return watch.parts[0].track


def test_a_watch_over_late_minutes_says_what_one_over_the_whole_ones_says(source, tmp_path):
    """Half of every minute is missing for two hours, the slow half: "1.6x faster" would be true."""
    watch = Watch(source.desk, source.declared("1.6x faster at p50"), 0.95)
    closed = []
    for hour in (4, HOURS):
        revised = source.read(CUT + hour * HOUR).revised_minutes
        assert revised == (24 if hour > 4 else 0)
        track = looked(source, watch)
        closed.append(-1 if track is None else track.last)
    assert closed == [1, 9], "three hours and no minute earlier"
    whole = Source(tmp_path, "whole")
    for hour in (4, HOURS):
        whole.read(CUT + hour * HOUR, late=False)
    other = Watch(whole.desk, whole.declared("1.6x faster at p50"), 0.95)
    assert looked(whole, other) == track
    assert (watch.parts[0].verdict, watch.revised(watch.parts[0])) == (other.parts[0].verdict, 0)
    assert watch.next_close(source.now) == CUT + 5.5 * HOUR + REREAD + 60
    whole.state.close()


def test_what_is_not_in_the_lake_yet_is_not_final(source):
    first = observed(CUT // 60, source.seconds[0])
    source.keep([first], CUT + 5 * HOUR, flush=False)
    assert watermarks(source.state, ENDPOINT) == {}, "its rows wait in the log"
    source.keep([observed(CUT // 60 + 5, source.seconds[1])], CUT + 6 * HOUR)
    (mark,) = watermarks(source.state, ENDPOINT).values()
    assert (mark.read_until, mark.final_until) == (CUT + 6 * HOUR, CUT + 3 * HOUR)


def test_a_final_minute_that_changes_is_counted_and_said_and_never_applied(source):
    change = source.declared("1.6x faster at p50")
    watch = Watch(source.desk, change, 0.95)
    for hour in (4, 8):
        source.read(CUT + hour * HOUR)
    before = looked(source, watch)
    assert before.last == 9
    counted, provisional = CUT // 60 + 60, CUT // 60 + 360
    slow = np.full(PER_STEP, 9.0)
    kept = source.keep([observed(one, slow) for one in (counted, provisional)], CUT + 8 * HOUR)
    assert (kept.revised_minutes, kept.revised_final) == (2, 1)
    # A partner of a counted block, and a block of the past that none was compared with.
    kept = source.keep(
        [observed(one, slow) for one in ((CUT - DAY) // 60 + 5, (CUT - DAY) // 60 + 900)],
        CUT + 8 * HOUR,
    )
    assert kept.revised_final == 2
    assert looked(source, watch) == before
    assert watch.revised(watch.parts[0]) == 2
    (finding,) = findings_of(watch)
    assert finding.evidence.notes[-1] == (
        "p50: 2 minute(s) changed after they were final and had counted here; what counted stays, "
        "an audit of fixed windows (without --watch) reads them as they are now"
    )
    # Another watch, begun now, reads them as they are: nothing changed after it.
    again = Watch(source.desk, source.declared("1.7x faster at p50"), 0.95)
    assert looked(source, again).sums != before.sums
    assert again.revised(again.parts[0]) == 0
    # So does what goes on after the verdict.
    assert go_on(again, source.state, source.now)[0].read_at == ((0, 3),)


def test_a_watch_whose_source_is_behind_says_until_when_it_was_read(source):
    watch = Watch(source.desk, source.declared("1.02x faster at p50"), 0.95)
    source.read(CUT + 5 * HOUR)
    for hours, code in ((8.9, ReasonCode.TOO_FEW_BLOCKS), (9.1, ReasonCode.NO_DATA)):
        source.now = CUT + hours * HOUR
        looked(source, watch)
        (finding,) = findings_of(watch)
        assert (finding.verdict, finding.reason.code) == (Verdict.INCONCLUSIVE, code)
    assert finding.reason.text.endswith(
        "undecided: no data since 2022-01-12T05:00:00Z: cloudwatch-123456789012-eu-west-1 was read "
        "until then, and later blocks wait for it (nibai collect --once says why)"
    )


def test_what_was_announced_by_a_process_that_died_is_news_when_it_comes(tmp_path):
    state = open_state(tmp_path / "state.sqlite")
    one = Revised((ENDPOINT, "fp32", "latency", 100), "as it was read", after_final=True)
    announce(state, SOURCE, [one])
    settle(state, SOURCE, CUT)  # killed before its rows were in the log; the next process begins
    known = newest_number(state, ENDPOINT)
    announce(state, SOURCE, [one])
    settle(state, SOURCE, CUT)
    (found,) = revised_since(state, ENDPOINT, "latency", known)
    assert (found.revision, found.after_final, found.number) == (1, 1, known + 1)
    state.close()


def test_a_revision_that_is_told_twice_counts_once(source):
    source.read(CUT + 4 * HOUR)
    slow = observed(CUT // 60 + 5, np.full(PER_STEP, 9.0))
    for _ in range(2):
        source.keep([slow], CUT + 4 * HOUR)
    (one,) = revised_since(source.state, ENDPOINT, "latency", 0)
    assert (one.revision, one.after_final, one.number) == (1, 1, 1)
    source.keep([observed(CUT // 60 + 5, np.full(PER_STEP, 8.0))], CUT + 4 * HOUR)
    (one,) = revised_since(source.state, ENDPOINT, "latency", 1)
    assert (one.revision, one.number) == (2, 2)


class KilledError(Exception):
    """The process ends here."""


def test_what_is_pushed_late_revises_its_minute_once(tmp_path):
    state, now, minute = open_state(tmp_path / "state.sqlite"), [CUT], int(CUT // 60)
    late = LatePushes(state, "main", lambda: now[0])

    def dying(step):
        if dies and step == "committed hist":
            raise KilledError

    ingest = Ingest(tmp_path, "main", state, clock=lambda: now[0], late=late, checkpoint=dying)
    dies = False
    rows = {"endpoint": ENDPOINT, "variant": "fp32"}
    for after, seconds in ((0, 0.1), (200, 0.2), (230, 0.3), (300, 0.4)):
        now[0] = CUT + after
        ingest.append(batch(np.array([seconds]), minute=minute, **rows))
    now[0] += 60
    dies = True
    with pytest.raises(KilledError):
        ingest.flush()
    dies = False
    ingest.close()
    (one,) = revised_since(state, ENDPOINT, "latency", 0)
    assert (one.variant, one.minute, one.after_final) == ("fp32", minute, 1)
    assert newest_number(state, ENDPOINT) == one.number
    counts = Engine(Lake(tmp_path / "lake")).endpoints()
    assert [row[-1] for row in counts] == [4], "nothing is lost"
    state.close()


# -- past that is pushed -----------------------------------------------------------------------


class Pushed:
    """An endpoint whose past is pushed while its change is followed already."""

    def __init__(self, folder):
        self.state, self.now = open_state(folder / "pushed.sqlite"), CUT + HOURS * HOUR
        clock = lambda: self.now  # noqa: E731 - one clock for all
        late = LatePushes(self.state, "main", clock)
        self.ingest = Ingest(folder / "pushed", "main", self.state, clock=clock, late=late)
        self.desk = Desk(self.state, Lake(folder / "pushed" / "lake"), clock)
        self.minutes, self.seconds = traffic()
        sentences = (parse("1.9x faster at p50"),)
        self.change = self.desk.declare(Change("", ENDPOINT, effective_at=CUT, sentences=sentences))

    def push(self, start, end):
        """Requests of a stretch; those after the change are twice as fast."""
        chosen = (self.minutes * 60 >= start) & (self.minutes * 60 < end)
        faster = np.where(self.minutes[chosen] * 60 >= CUT, 2.2, 1.0)
        seconds = self.seconds[chosen] / faster[:, None]
        minutes = np.repeat(self.minutes[chosen], PER_STEP).astype(np.int32)
        self.ingest.append(batch(seconds.ravel(), endpoint=ENDPOINT, minute=minutes))
        self.now += 60
        self.ingest.fold()


@pytest.fixture
def pushed(tmp_path):
    made = Pushed(tmp_path)
    yield made
    made.ingest.close()
    made.state.close()


def test_past_that_is_pushed_in_any_order_is_read_once_it_is_whole(pushed):
    watch = Watch(pushed.desk, pushed.change, 0.95)
    end = CUT + HOURS * HOUR
    # The newest first, as whoever looks at now does it; a look falls between any two of them.
    for start, until in (
        (end - HOUR, end),
        (MONDAY, CUT),
        (CUT + HOUR, end - HOUR),
        (CUT, CUT + HOUR),
    ):
        pushed.push(start, until)
        watch.look(pushed.now)
        assert watch.parts[0].track is None
        (finding,) = findings_of(watch)
        assert finding.reason.text == (
            "the past is still being pushed: it is read some time after the last of it "
            "(otlp.past_wait)"
        )
    pushed.now += 899
    watch.look(pushed.now)
    assert watch.parts[0].track is None
    pushed.now += 1
    watch.look(pushed.now)
    track = watch.parts[0].track
    assert (track.last, track.thin) == (2 * HOURS - 1, 0), "no block was taken for an empty one"


def test_while_past_is_pushed_blocks_that_were_not_read_wait_for_it(pushed):
    pushed.push(MONDAY, CUT + 3 * HOUR)
    pushed.now += 1000
    watch = Watch(pushed.desk, pushed.change, 0.95)
    watch.look(pushed.now)
    assert watch.parts[0].track.last == 5
    for start, end in ((CUT + 5 * HOUR, CUT + HOURS * HOUR), (CUT + 3 * HOUR, CUT + 5 * HOUR)):
        pushed.push(start, end)
        watch.look(pushed.now)
        assert watch.parts[0].track.last == 5, "the hole is still being filled"
    pushed.now += 1000
    watch.look(pushed.now)
    track = watch.parts[0].track
    assert (track.last, track.thin) == (2 * HOURS - 1, 0)


def test_an_endpoint_that_always_sends_its_past_is_waited_for_once():
    one, waited = Backfill(0.0, 900.0), []
    for at in range(600, 12 * 3600, 600):
        one = one.after(float(at))
        waited.append(one.goes_on(float(at)))
    assert waited.count(True) == 35
    assert not any(waited[35:])
    assert one.after(12 * HOUR + 900).goes_on(12 * HOUR + 900), "after a silence it is news again"


def test_spans_that_are_merely_late_are_no_backfill(pushed):
    note_pushed(pushed.state, {ENDPOINT: pushed.now - 1800.0}, pushed.now)
    assert not is_filling(pushed.state, ENDPOINT, pushed.now)
    note_pushed(pushed.state, {ENDPOINT: pushed.now - 1801.0}, pushed.now)
    assert is_filling(pushed.state, ENDPOINT, pushed.now)
    assert not is_filling(pushed.state, ENDPOINT, pushed.now + 900)
    assert not is_filling(pushed.state, "another", pushed.now)
