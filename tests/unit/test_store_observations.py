"""A source read again and again: the lake says what the source said last, once."""

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from nibai.model import Observation, Provenance, SeriesKey, Window
from nibai.store.pulled.observations import Stored, difference
from nibai.store.pulled.stored import name_of, stored_minutes
from nibai.store.wal.fold import fold
from nibai.store.wal.ingest import Ingest, MemoryLedger

KEY = SeriesKey("sagemaker/1.eu-west-1/chat", "blue", "", "", "model_latency")
MINUTE = 29_400_000
WINDOW = Window(MINUTE * 60.0, (MINUTE + 60) * 60.0)


def observation(counts, *, minute=MINUTE, key=KEY, provenance=Provenance.TC, total=None):
    buckets = np.array(sorted(counts), dtype=np.int32)
    each = np.array([counts[bucket] for bucket in sorted(counts)], dtype=np.int64)
    values = [2.0 ** (bucket / 8 + 1 / 16) for bucket in sorted(counts)]
    n = int(each.sum())
    return Observation(
        key, minute, buckets, each, n, total or float(each @ values), min(values), max(values),
        scale=3, provenance=provenance,
    )  # fmt: skip


def scalar(n, total, low, high, *, minute=MINUTE):
    none = np.zeros(0, dtype=np.int64)
    return Observation(
        KEY, minute, none.astype(np.int32), none, n, total, low, high,
        provenance=Provenance.SCALAR,
    )  # fmt: skip


@pytest.fixture
def lake(tmp_path):
    return Reading(tmp_path)


class Reading:
    """A lake that a source is written to, difference by difference."""

    def __init__(self, folder):
        self.folder = folder

    def stored(self):
        return stored_minutes(self.ingest().lake, [name_of(KEY)], WINDOW)

    def ingest(self):
        ingest = Ingest(self.folder, "pull", MemoryLedger(), clock=lambda: WINDOW.end)
        ingest.close()
        return ingest

    def observe(self, *observations):
        found = difference(observations, self.stored())
        ingest = Ingest(self.folder, "pull", MemoryLedger(), clock=lambda: WINDOW.end)
        if found.rows.num_rows:
            ingest.append(found.rows)
        ingest.close()
        return found.new_minutes, found.revised_minutes


def agrees(stored, one):
    buckets = {
        (one.provenance.value, one.scale, int(b)): int(c)
        for b, c in zip(one.buckets, one.bucket_counts, strict=True)
    }
    assert stored.buckets == buckets
    count, total, errors, timeouts = stored.cells[one.provenance.value]
    assert (count, errors, timeouts) == (one.count, one.errors, one.timeouts)
    assert total == pytest.approx(one.sum)
    assert (stored.min, stored.max) == pytest.approx((one.min, one.max))


def test_a_minute_is_stored_as_it_was_observed(lake):
    one = observation({-30: 1, -20: 12, -3: 1})
    assert lake.observe(one) == (1, 0)
    agrees(lake.stored()[KEY, MINUTE], one)


def test_reading_again_adds_nothing(lake):
    several = [observation({-20: i + 1, -3: 1}, minute=MINUTE + i) for i in range(5)]
    assert lake.observe(*several) == (5, 0)
    assert lake.observe(*several) == (0, 0)
    assert difference(several, lake.stored()).rows.num_rows == 0


def test_a_revised_minute_becomes_what_the_source_says_now(lake):
    lake.observe(observation({-20: 12, -3: 1}))
    later = observation({-21: 3, -20: 10, -2: 1})
    assert lake.observe(later) == (0, 1)
    found = lake.stored()[KEY, MINUTE]
    assert found.buckets == {("tc", 3, -21): 3, ("tc", 3, -20): 10, ("tc", 3, -2): 1}
    assert found.cells["tc"][:2] == (14, pytest.approx(later.sum))
    # The extremes of a corrected minute are outer bounds: the larger maximum stays.
    assert found.max == pytest.approx(later.max)


def test_base_statistics_have_a_cell_and_no_buckets(lake):
    lake.observe(scalar(7, 1.4, 0.1, 0.5))
    found = lake.stored()[KEY, MINUTE]
    assert found == Stored({"scalar": (7, pytest.approx(1.4), 0, 0)}, {}, 0.1, 0.5)


def test_a_minute_that_gets_its_buckets_later_is_not_counted_twice(lake):
    lake.observe(scalar(13, 2.0, 0.1, 0.5))
    lake.observe(observation({-20: 12, -3: 1}))
    found = lake.stored()[KEY, MINUTE]
    assert {p: cell[0] for p, cell in found.cells.items()} == {"scalar": 0, "tc": 13}
    assert found.cells["scalar"][1] == pytest.approx(0.0)
    assert sum(found.buckets.values()) == 13


def test_errors_that_come_late_are_added(lake):
    one = observation({-20: 12})
    lake.observe(one)
    assert lake.observe(replace(one, errors=2)) == (0, 1)
    assert lake.stored()[KEY, MINUTE].cells["tc"][2] == 2


def test_what_was_not_observed_stays(lake):
    lake.observe(observation({-20: 12}), observation({-20: 3}, minute=MINUTE + 1))
    assert lake.observe(observation({-20: 12})) == (0, 0)
    assert len(lake.stored()) == 2


def test_an_empty_lake_holds_nothing(lake):
    assert lake.stored() == {}
    assert math.isnan(Stored({}, {}).min)


def test_new_minutes_make_the_same_rows_all_at_once():
    rng = np.random.default_rng(1)
    many = [
        observation({int(b): int(rng.integers(1, 4)) for b in rng.choice(40, 6, replace=False)},
                    minute=MINUTE + i, key=replace(KEY, variant=f"v{i % 3}"))
        for i in range(20)
    ]  # fmt: skip
    failing = replace(
        many[0], minute=MINUTE + 50, buckets=np.array([32767]), bucket_counts=np.array([1]),
        count=1, sum=0.0, min=math.nan, max=math.nan, errors=1,
    )  # fmt: skip
    many += [failing, scalar(5, 2.0, 0.1, 0.9, minute=MINUTE + 51)]
    nothing = {(one.key, one.minute): Stored({}, {}) for one in many}
    one_by_one, at_once = difference(many, nothing), difference(many, {})
    assert (at_once.new_minutes, one_by_one.revised_minutes) == (22, 22)
    folded = [
        {kind: table.to_pylist() for kind, table in fold(pa.table(found.rows)).tables.items()}
        for found in (one_by_one, at_once)
    ]
    for kind in ("hist", "cell"):
        assert len(folded[0][kind]) == len(folded[1][kind])
        for before, after in zip(*(one[kind] for one in folded), strict=True):
            assert before == pytest.approx(after, nan_ok=True)
