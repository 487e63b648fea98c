"""Replicas, segments, variants and sources that are late change minutes that were counted."""

import numpy as np
import pytest
import sqlalchemy as sa

from nibai.app.finality import finality
from nibai.app.keeping import Keeper
from nibai.histogram import bucket_index
from nibai.model import Observation, SeriesKey, Window
from nibai.protocols import Pulled
from nibai.store.state.counted import counted_marks
from nibai.store.state.database import open_state
from nibai.store.state.revisions import newest_number, revised_since
from nibai.store.state.tables import MAINTENANCE
from nibai.store.wal.ingest import Ingest

HOUR, DAY = 3600.0, 86_400.0
START = 1_764_000_000.0 // DAY * DAY
ENDPOINT, METRIC = "sagemaker/123456789012.eu-west-1/chat", "model_latency"
SOURCE, OTHER = "cloudwatch-123456789012-eu-west-1", "spans-chat"


class Account:
    """Sources of one endpoint; each reading is a Keeper of its own, as a process has."""

    def __init__(self, folder):
        self.folder, self.state = folder, open_state(folder / "state.sqlite")

    def read(self, series, hours, n=10, *, source=SOURCE, variant="blue", replica="", segment=""):
        """Hours (first, end) of one series, a minute in twelve; revised minutes after the last."""
        first, end = (START + one * HOUR for one in hours)
        key = SeriesKey(ENDPOINT, variant, replica, segment, METRIC)
        buckets, counts = np.unique(bucket_index(np.full(n, 0.1)), return_counts=True)
        found = [
            Observation(key, int(at // 60), buckets.astype(np.int32), counts, n, 0.1 * n, 0.1, 0.1)
            for at in np.arange(first, end, 720.0)
        ]
        before = newest_number(self.state, ENDPOINT)
        part = Pulled(
            found, Window(first, end), {series: end}, 0.0, {}, final_until={series: end},
            brings={series: [(ENDPOINT, variant, METRIC)]},
        )  # fmt: skip
        ingest = Ingest(self.folder, source, self.state, clock=lambda: end)
        keeper = Keeper(self.folder, ingest, self.state, lambda: end)
        keeper.keep(source, part)
        keeper.flush()
        ingest.close()
        return [one.minute for one in revised_since(self.state, ENDPOINT, METRIC, before)]

    @property
    def counts_until(self):
        """Until when a watch counts."""
        return finality(self.state, ENDPOINT, START + 9 * DAY).marks[METRIC].final_until


@pytest.fixture
def account(tmp_path):
    made = Account(tmp_path)
    yield made
    made.state.close()


def minutes(first, end):
    return [int((START + first * HOUR) // 60) + 12 * i for i in range(round((end - first) * 5))]


@pytest.mark.parametrize("part", ["replica", "segment"])
def test_parts_of_a_variant_are_revised_apart(account, part):
    """Each is a revision with a number of its own, though both are of one minute."""
    account.read("a", (0, 10), **{part: "one"})
    account.read("b", (0, 10), **{part: "two"})
    assert account.read("a", (3, 4), 11, **{part: "one"}) == minutes(3, 4)
    number = newest_number(account.state, ENDPOINT)
    assert account.read("b", (3, 4), 12, **{part: "two"}) == minutes(3, 4)
    assert newest_number(account.state, ENDPOINT) > number
    assert account.read("b", (3, 4), 12, **{part: "two"}) == [], "the same again is none"


@pytest.mark.parametrize("late", [{"replica": "i-2"}, {"variant": "green"}])
def test_what_was_not_waited_for_changes_minutes_that_were_counted(account, late):
    account.read("a", (0, 4), replica="i-1")
    account.read("b", (0, 4), **late)
    account.read("a", (4, 48), replica="i-1")
    assert account.counts_until == START + 48 * HOUR, "b is a day behind: nobody waits"
    # It comes back in two readings; the first takes it to less than a day behind.
    assert account.read("b", (4, 30), **late) == minutes(4, 30)
    assert account.counts_until == START + 30 * HOUR
    assert account.read("b", (30, 47), **late) == minutes(30, 47)
    assert account.read("a", (48, 50), replica="i-1") == [], "what comes in time is no revision"


def test_another_source_that_begins_late_changes_them_too(account):
    account.read("a", (0, 30))
    assert account.read("spans", (0, 29), source=OTHER, segment="tenant=a") == minutes(0, 29)
    assert account.read("spans", (29, 31), source=OTHER, segment="tenant=a") == minutes(29, 30)


def test_a_first_reading_revises_nothing_though_its_series_are_not_in_step(account):
    """Whoever counts waits for the last of them."""
    account.read("a", (0, 1))
    account.read("b", (0, 1), variant="green")
    for hour in range(1, 16, 5):
        assert account.read("a", (hour, hour + 5)) == []
        assert account.read("b", (hour, hour + 3), variant="green") == []
        assert account.read("b", (hour + 3, hour + 5), variant="green") == []


def test_what_an_earlier_version_read_counts(account):
    account.read("a", (0, 10))
    with account.state.begin() as connection:
        connection.execute(MAINTENANCE.delete().where(MAINTENANCE.c.task.startswith("counted:")))
        assert not connection.execute(sa.select(MAINTENANCE).where(
            MAINTENANCE.c.task.startswith("counted:"))).all()  # fmt: skip
    assert account.read("b", (0, 5), variant="green") == minutes(0, 5)
    assert counted_marks(account.state) == {(ENDPOINT, METRIC): START + 10 * HOUR}
