"""Sources of `nibai run`: each in a thread of its own, failures told, one reader among replicas."""

import threading
import time

import numpy as np
import pytest
from support.spans import lake_counts

from nibai.app.collect import Source
from nibai.app.onwatch import sources
from nibai.app.onwatch.sources import SourceThreads
from nibai.app.onwatch.standing import Board
from nibai.app.onwatch.tally import Tally
from nibai.config import Config
from nibai.errors import StoreError, ThrottledError
from nibai.histogram import bucket_index
from nibai.model import Observation, SeriesKey, Window
from nibai.protocols import Pulled
from nibai.store.lake.delta import Lake
from nibai.store.state.awaited import waited_for
from nibai.store.state.database import open_state

NOW = 1_764_000_000.0
START = NOW - 600
ERRORS = "nibai_collector_errors_total"


def observation(minute):
    key = SeriesKey("onprem/tokyo/ocr", "v1", "r1", "", "latency")
    buckets, counts = np.unique(bucket_index([0.1, 0.2]), return_counts=True)
    return Observation(key, minute, buckets, counts, 2, 0.3, 0.1, 0.2)


class Puller:
    """Ten minutes of one series, in two parts; or what went wrong."""

    series = ("latency",)

    def __init__(self, error=None, problems=()):
        self.error, self.problems, self.asked = error, problems, []
        self.pulled = threading.Event()

    def preview(self, read_until):
        raise NotImplementedError

    def pull(self, read_until):
        self.asked.append(dict(read_until))
        self.pulled.set()
        if self.error is not None:
            raise self.error
        for half in range(2):
            begin = START + half * 300
            yield Pulled(
                [observation(int(begin // 60) + i) for i in range(5)],
                Window(begin, begin + 300), {"latency": begin + 300}, 0.01, {},
                problems=self.problems,
            )  # fmt: skip


class Running:
    def __init__(self, folder, puller, owner="one", clock=lambda: NOW):
        self.state = open_state(folder / "state.sqlite")
        self.board, self.tally = Board(900.0, NOW), Tally()
        self.source = Source("prometheus-x", puller, 60.0, 60.0)
        self.threads = SourceThreads(
            Config.model_validate({"data": str(folder)}), [self.source], self.state,
            owner=owner, board=self.board, tally=self.tally, clock=clock,
        )  # fmt: skip

    @property
    def reading(self):
        return self.board.readings()["prometheus-x"]

    def close(self):
        self.threads.stop()
        self.state.close()


@pytest.fixture
def start(tmp_path):
    made = []

    def begin(puller, *options, **more):
        made.append(Running(tmp_path, puller, *options, **more))
        return made[-1]

    yield begin
    for one in made:
        one.close()


def test_a_source_is_read_stored_and_billed(start, tmp_path):
    running = start(Puller())
    assert running.reading.read_until is None
    running.threads.read_once(running.source)
    assert lake_counts(Lake(tmp_path / "lake"))[0] == 20
    assert running.reading.read_until == NOW
    assert running.reading.endpoints <= {"onprem/tokyo/ocr"}
    assert running.reading.problem is None
    assert running.tally.numbers()["nibai_collector_dollars_total"] == {("prometheus-x",): 0.02}
    revised = running.tally.numbers()["nibai_collector_revised_minutes_total"]
    assert revised == {("prometheus-x", "true"): 0.0, ("prometheus-x", "false"): 0.0}


@pytest.mark.parametrize(
    ("puller", "reason", "said"),
    [
        (Puller(ThrottledError("x: too many calls: wait")), "source", "x: too many calls: wait"),
        (Puller(StoreError("the disk is full")), "store", "the disk is full"),
        (Puller(RuntimeError("a mistake")), "unexpected", "unexpected error, see the log"),
        (Puller(problems=("series y: gone",)), "source", "series y: gone"),
    ],
)
def test_a_failure_is_counted_and_told_and_the_next_reading_goes_on(start, puller, reason, said):
    running = start(puller)
    running.threads.read_once(running.source)
    assert running.reading.problem == said
    counted = running.tally.numbers()[ERRORS]
    assert set(counted) == {("prometheus-x", reason)}
    puller.error, puller.problems = None, ()
    running.threads.read_once(running.source)
    assert running.reading.problem is None
    assert running.reading.read_until == NOW


def test_a_source_that_never_read_does_not_return_with_a_restart(start):
    broken, now = Puller(ThrottledError("x: denied")), [NOW]
    for _ in range(3):
        running = start(broken, clock=lambda: now[0])
        running.threads.read_once(running.source)
        now[0] += 600.0
        (standing,) = running.board.health(now[0]).collectors
        running.close()
    # Limit: 900 s and twice its interval; the board of each process begins at NOW all the same.
    assert running.board.lag_seconds(running.reading, now[0]) == 1800.0
    assert standing.quiet_since == NOW
    now[0] = NOW + 9000.0
    again = start(broken, clock=lambda: now[0])
    again.board._since = now[0]
    assert again.board.health(now[0]).collectors[0].quiet_since == NOW
    broken.error = None
    again.threads.read_once(again.source)
    assert again.reading.awaited_since is None
    assert waited_for(again.state, "prometheus-x") is None


def test_of_two_replicas_one_reads_until_its_lease_runs_out(start):
    now = [NOW]
    first, second = Puller(), Puller()
    one = start(first, "one", clock=lambda: now[0])
    two = start(second, "two", clock=lambda: now[0])
    one.threads.start()
    assert first.pulled.wait(20)
    two.threads.start()
    two.threads.stop()
    assert second.asked == []
    one.threads.stop()  # gives the lease back
    now[0] += 60.0  # it is due again, and the lease would go on for two minutes
    three = start(second, "three", clock=lambda: now[0])
    three.threads.start()
    assert second.pulled.wait(20)


def test_stopping_keeps_the_part_at_hand_and_the_next_process_goes_on(start, tmp_path):
    running = start(Puller())
    running.threads._stopping.set()
    running.threads.read_once(running.source)
    assert running.source.puller.asked == [], "nothing is begun"
    again = start(Puller())
    again.threads.read_once(again.source)
    again.threads.read_once(again.source)
    assert again.source.puller.asked == [{}, {"latency": NOW}]
    assert lake_counts(Lake(tmp_path / "lake"))[0] == 20, "and nothing is counted twice"


def test_a_new_start_reads_no_source_that_was_just_read(start):
    running = start(Puller())
    assert running.threads.due_in(running.source) == 0.0, "never read"
    running.state.set_read_until("prometheus-x", {"latency": NOW - 20.0})
    assert running.threads.due_in(running.source) == 40.0
    running.state.set_read_until("prometheus-x", {"latency": NOW - 90.0})
    assert running.threads.due_in(running.source) == 0.0


class Timed(Puller):
    """Something of it is due again fifty milliseconds later; once."""

    def __init__(self):
        super().__init__()
        self.again = threading.Event()

    def attend(self, changes):
        self.changes = changes

    def due_after(self, moment):
        return moment + 0.05 if len(self.asked) == 1 else float("inf")

    def pull(self, read_until):
        yield from super().pull(read_until)
        if len(self.asked) == 2:
            self.again.set()


def test_a_source_that_a_change_wants_sooner_is_read_before_its_regular_time(start):
    """It reads every minute; the second reading does not wait for that, the third one does."""
    puller = Timed()
    running = start(puller, clock=time.time)
    running.threads.start()
    assert puller.again.wait(10.0)
    assert puller.changes == {}
    time.sleep(0.1)
    assert len(puller.asked) == 2


def test_a_state_that_is_away_for_a_while_ends_no_reading(start, monkeypatch, caplog):
    """Its thread ended with the first lease that could not be taken, and nobody read on."""
    monkeypatch.setattr(sources, "STATE_AGAIN_SECONDS", 0.01)
    puller = Puller()
    running = start(puller)
    asked = {"read_until": 0, "lease": 0}

    def away_twice(name):
        right = getattr(running.state, name)

        def answer(*arguments):
            asked[name] += 1
            if asked[name] <= 2:
                raise StoreError("postgresql://db: the state cannot be read or written")
            return right(*arguments)

        monkeypatch.setattr(running.state, name, answer)

    away_twice("read_until")
    away_twice("lease")
    running.threads.start()
    assert puller.pulled.wait(10)
    assert caplog.text.count("prometheus-x: postgresql://db: the state cannot be read") == 4


def test_a_library_that_panics_is_a_failure_like_others(start):
    running = start(Puller(Panic("Failed to create a tokio runtime")))
    running.threads.read_once(running.source)
    assert running.reading.problem == "unexpected error, see the log"
    assert set(running.tally.numbers()[ERRORS]) == {("prometheus-x", "unexpected")}


class Panic(BaseException):
    """As pyo3_runtime.PanicException: no Exception."""
