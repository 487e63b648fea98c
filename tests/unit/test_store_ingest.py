"""Log, fold and lake: durable, exactly once, and refusing clearly."""

import errno
import os
import threading

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.spans import batch, lake_counts

from nibai.errors import StoreError, ThrottledError
from nibai.store.lake.rows import WAL_SCHEMA
from nibai.store.wal.fold import fold
from nibai.store.wal.ingest import Ingest, MemoryLedger
from nibai.store.wal.log import HEADER, WriteAheadLog, read_frames, segments

START = 1_680_000_000.0


class Clock:
    def __init__(self, now=START):
        self.now = now

    def __call__(self):
        return self.now


def open_ingest(folder, clock, ledger=None, **options):
    return Ingest(folder, "main", ledger or MemoryLedger(), clock=clock, **options)


def test_what_was_appended_is_in_the_lake_after_the_minute(tmp_path):
    clock = Clock()
    ingest = open_ingest(tmp_path, clock)
    ingest.append(batch([0.1, 0.2, np.inf], minute=int(START // 60)))
    assert ingest.fold() == 0, "the open minute waits"
    clock.now += 60
    assert ingest.fold() == 1
    assert lake_counts(ingest.lake)[0] == 3
    cell = ingest.lake.open("cell").to_pyarrow_table().to_pylist()[0]
    assert (cell["count"], cell["errors"]) == (3, 1)
    assert cell["sum"] == pytest.approx(0.3)
    assert (cell["min"], cell["max"]) == (0.1, 0.2)
    ingest.close()
    assert segments(tmp_path / "wal" / "main") == []


def test_closing_folds_the_open_minute(tmp_path):
    ingest = open_ingest(tmp_path, Clock())
    ingest.append(batch([0.1], minute=int(START // 60)))
    ingest.close()
    assert lake_counts(ingest.lake)[0] == 1


def test_a_resent_payload_counts_once_also_after_a_restart(tmp_path):
    clock, ledger = Clock(), MemoryLedger()
    digest = b"d" * 16
    ingest = open_ingest(tmp_path, clock, ledger)
    ingest.append(batch([0.1], minute=int(START // 60)), digest)
    ingest.append(batch([0.1], minute=int(START // 60)), digest)
    ingest.close()
    again = open_ingest(tmp_path, clock, ledger)
    again.append(batch([0.1], minute=int(START // 60)), digest)
    again.close()
    assert lake_counts(again.lake)[0] == 1
    clock.now += 16 * 60
    later = open_ingest(tmp_path, clock, ledger)
    later.append(batch([0.1], minute=int(START // 60)), digest)
    later.close()
    assert lake_counts(later.lake)[0] == 2, "after 15 minutes the same bytes are new data"


def test_a_replayed_segment_is_not_counted_twice(tmp_path):
    clock = Clock()
    ingest = open_ingest(tmp_path, clock)
    ingest.append(batch([0.1] * 5, minute=int(START // 60)))
    (segment,) = ingest._wal.closed()
    saved = segment.path.read_bytes()
    ingest.close()
    segment.path.write_bytes(saved)
    again = open_ingest(tmp_path, clock)
    again.close()
    assert lake_counts(again.lake)[0] == 5
    assert lake_counts(again.lake, "cell")[0] == 5


def test_a_second_process_with_the_same_collector_is_refused(tmp_path):
    first = open_ingest(tmp_path, Clock())
    with pytest.raises(StoreError, match=rf"another nibai process \(pid {os.getpid()}\)"):
        open_ingest(tmp_path, Clock())
    first.close()
    open_ingest(tmp_path, Clock()).close()


def test_a_full_log_asks_to_come_back_later_and_keeps_nothing(tmp_path):
    ingest = open_ingest(tmp_path, Clock(), max_bytes=4000)
    ingest.append(batch([0.1]), b"a" * 16)
    with pytest.raises(ThrottledError) as caught:
        ingest.append(batch([0.1] * 500), b"b" * 16)
    assert caught.value.retry_after_seconds == 5
    ingest.close()
    assert lake_counts(ingest.lake)[0] == 1


def test_a_refused_sync_is_not_acknowledged_and_not_counted(tmp_path, monkeypatch):
    ingest = open_ingest(tmp_path, Clock())
    ingest.append(batch([0.1]), b"a" * 16)
    real = os.fdatasync

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        ingest.append(batch([0.2]), b"b" * 16)
    monkeypatch.setattr(os, "fdatasync", real)
    ingest.append(batch([0.2]), b"b" * 16)  # the client tries again
    ingest.close()
    assert lake_counts(ingest.lake)[0] == 2


def test_a_torn_tail_leaves_every_complete_frame(tmp_path):
    log = WriteAheadLog(tmp_path, clock=Clock())
    for value in (0.1, 0.2, 0.3):
        log.append(batch([value]))
    (segment,) = log.closed()
    data = segment.path.read_bytes()
    frame, edge = len(data) // 3, HEADER.size + 8
    near = [place + i for place in (0, frame, 2 * frame) for i in range(-8, edge)]
    for cut in sorted({*(i for i in near if i >= 0), *range(0, len(data), 61), len(data) - 1}):
        segment.path.write_bytes(data[:cut])
        complete = cut * 3 // len(data)
        assert len(list(read_frames(segment.path))) == complete
    segment.path.write_bytes(data[:-20] + bytes(20))
    assert len(list(read_frames(segment.path))) == 2


def test_concurrent_appends_are_all_durable(tmp_path):
    ingest = open_ingest(tmp_path, Clock())

    def work(k):
        for i in range(20):
            ingest.append(batch([0.1 * (k + 1)] * (i + 1), replica=f"r{k}"))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ingest.close()
    assert lake_counts(ingest.lake)[0] == 4 * 210


def test_rows_of_any_age_are_minutes_until_the_maintainer_moves_them(tmp_path):
    ingest = open_ingest(tmp_path, Clock())
    old = int(START // 60) - 40 * 1440
    ingest.append(batch([0.1, 0.2], minute=old))
    ingest.close()
    total, rows = lake_counts(ingest.lake)
    assert total == 2
    assert {key[3] for key in rows} == {old}


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.floats(1e-4, 10) | st.just(np.inf), st.integers(0, 3), st.sampled_from("ab")),
        min_size=1,
        max_size=40,
    ),
    st.randoms(),
)
def test_folding_any_split_in_any_order_equals_folding_once(rows, random):
    def folded(part):
        batches = [
            batch([value], minute=28_000_000 + minute, segment=segment)
            for value, minute, segment in part
        ]
        return fold(pa.Table.from_batches(batches, schema=WAL_SCHEMA)).tables

    def total(tables):
        counts = {}
        for table in tables:
            for row in table["hist"].to_pylist():
                key = (row["segment"], row["minute"], row["bucket"])
                counts[key] = counts.get(key, 0) + row["count"]
        return counts

    shuffled = list(rows)
    random.shuffle(shuffled)
    cut = random.randint(0, len(rows))
    parts = [part for part in (shuffled[:cut], shuffled[cut:]) if part]
    assert total([folded(part) for part in parts]) == total([folded(rows)])
