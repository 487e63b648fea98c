"""A source that is switched from a variant's requests to those of its replicas, and back."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from nibai.app.keeping import Keeper
from nibai.histogram import bucket_index
from nibai.model import Observation, SeriesKey, Window
from nibai.protocols import Pulled
from nibai.store.lake import small_files
from nibai.store.lake.delta import Lake
from nibai.store.lake.final_days import write_hours
from nibai.store.lake.small_files import join_small_files
from nibai.store.series.blocks import Blocks, Engine
from nibai.store.state.database import open_state
from nibai.store.state.watermarks import keep_only, watermarks
from nibai.store.wal.ingest import Ingest

START = 1_764_000_000.0 // 3600 * 3600
HOUR = 3600.0
ENDPOINT, SOURCE = "sagemaker/123456789012.eu-west-1/chat", "cloudwatch-123456789012-eu-west-1"
WHOLE, BY_INSTANCE = "ModelLatency", "ModelLatencyByInstanceId"
NAME = (ENDPOINT, "blue", "model_latency")


def part(series, replicas, first, until, *, late=False):
    """Minutes of some replicas; `late`: half of the last two hours is not there yet."""
    found = []
    for at in np.arange(first, until, 300.0):
        for replica, n in replicas.items():
            seconds = np.full(n // 2 if late and at >= until - 2 * HOUR else n, 0.1)
            buckets, counts = np.unique(bucket_index(seconds), return_counts=True)
            key = SeriesKey(ENDPOINT, "blue", replica, "", "model_latency")
            found.append(
                Observation(
                    key, int(at // 60), buckets.astype(np.int32), counts, len(seconds),
                    float(seconds.sum()), 0.1, 0.1,
                )
            )  # fmt: skip
    return Pulled(
        found, Window(first, until), {series: until}, 0.0, {},
        final_until={series: until - 3 * HOUR}, brings={series: [NAME]},
    )  # fmt: skip


class Account:
    """Ten requests every five minutes, six of them on one instance."""

    def __init__(self, folder):
        self.folder, self.state = folder, open_state(folder / "state.sqlite")

    def read(self, series, replicas, first, end, *, late=False):
        """Hours of one way; `late`: half of the last two hours is not there yet."""
        until = START + end * HOUR
        ingest = Ingest(self.folder, SOURCE, self.state, clock=lambda: until)
        keeper = Keeper(self.folder, ingest, self.state, lambda: until)
        kept = keeper.keep(
            SOURCE,
            part(series, replicas, START + first * HOUR, until, late=late),
        )
        keeper.flush()
        ingest.close()
        return kept

    def counts(self, end):
        """Requests of every five minutes by replica."""
        blocks = Blocks(Window(START, START + end * HOUR), round(end * 12))
        found = Engine(Lake(self.folder / "lake")).blocks(*NAME[::2], "blue", blocks)
        return {replica: one[""].histograms.n for replica, one in found.items()}


@pytest.fixture
def account(tmp_path):
    made = Account(tmp_path)
    yield made
    made.state.close()


def test_a_variant_that_is_read_by_instance_from_now_on_counts_nothing_twice(account):
    instances = {"i-1": 6, "i-2": 4}
    account.read(WHOLE, {"": 10}, 0, 5, late=True)
    switched = account.read(BY_INSTANCE, instances, 0, 6)
    assert (switched.held_otherwise, switched.revised_final) == (48, 0), "two hours were final"
    counts = account.counts(6)
    assert sum(counts.values()).tolist() == [10] * 72, "and none is lost that came late"
    assert counts[""].tolist() == [10] * 24 + [0] * 48
    again = account.read(BY_INSTANCE, instances, 3, 7)
    assert (again.new_minutes, again.revised_minutes) == (24, 0)
    back = account.read(WHOLE, {"": 10}, 2, 8)
    assert back.held_otherwise == 0, "what both ways might still revise is the newest one's"
    assert sum(account.counts(8).values()).tolist() == [10] * 96


def test_a_source_that_never_brought_a_series_takes_nothing_from_others(account):
    account.read(WHOLE, {"": 10}, 0, 4)
    keep_only(account.state, SOURCE, [])
    assert watermarks(account.state, ENDPOINT) == {}
    account.read(BY_INSTANCE, {"i-9": 3}, 0, 4)
    assert sum(account.counts(4).values()).tolist() == [13] * 48


def test_replicas_that_come_in_parts_of_one_reading_take_over_once(account):
    account.read(WHOLE, {"": 10}, 0, 5)
    until = START + 6 * HOUR
    ingest = Ingest(account.folder, SOURCE, account.state, clock=lambda: until)
    keeper = Keeper(account.folder, ingest, account.state, lambda: until)
    for replica, n in (("i-1", 6), ("i-2", 4)):
        keeper.keep(SOURCE, part(f"of {replica}", {replica: n}, START + 2 * HOUR, until))
    keeper.flush()
    ingest.close()
    counts = account.counts(6)
    assert counts[""].tolist() == [10] * 24 + [0] * 48
    assert sum(counts.values()).tolist() == [10] * 72


def test_a_long_reading_joins_the_files_of_its_commits(account, monkeypatch):
    """Every commit costs what listing all files takes; what was counted stays."""
    monkeypatch.setattr(small_files, "JOIN_EVERY", 4)
    ingest = Ingest(account.folder, SOURCE, account.state, clock=lambda: START + 20 * HOUR)
    keeper = Keeper(account.folder, ingest, account.state, lambda: START + 20 * HOUR)
    for hour in range(10):
        first = START + hour * HOUR
        keeper.keep(SOURCE, part(WHOLE, {"": 10}, first, first + HOUR))
        keeper.flush()
    ingest.close()
    lake = Lake(account.folder / "lake")
    for table in ("hist", "cell"):
        assert len(lake.file_uris(table, date.min, date.max)) <= 6
        assert lake.committed(table, SOURCE) == 10, "and which segments it holds"
    assert account.counts(10)[""].tolist() == [10] * 120


def test_files_of_a_final_day_are_not_joined(account):
    """By their names those are known whose rows are in the hours."""
    for hour in range(5):
        account.read(WHOLE, {"": 10}, hour, hour + 1)
    lake = Lake(account.folder / "lake")
    day = datetime.fromtimestamp(START, UTC).date()
    write_hours(lake, "cell", day, lake.open("cell"), final=True)
    before = lake.file_uris("cell", date.min, date.max)
    assert join_small_files(lake, "cell", most=2) == 0
    assert lake.file_uris("cell", date.min, date.max) == before
    assert join_small_files(lake, "hist", most=2) == 1
    assert join_small_files(lake, "category", most=2) == 0, "a table that is not there"
