"""The lake shows its newest version, whoever wrote it, and reads a log only when there is one."""

from datetime import date

import pyarrow as pa
from support.spans import batch

from nibai.store.lake import delta as module
from nibai.store.lake.delta import Lake
from nibai.store.wal.fold import fold


def commit(lake, sequence):
    found = fold(
        pa.Table.from_batches([batch([0.1] * sequence, minute=27_000_000, replica=f"r{sequence}")])
    )
    rows = found.tables["hist"]
    return lake.commit("hist", rows, "main", sequence)


def requests(lake):
    found = lake.open("hist").to_pyarrow_table()
    return sum(found["count"].to_pylist())


def test_what_another_one_wrote_is_seen_at_once(tmp_path):
    reader, writer = Lake(tmp_path), Lake(tmp_path)
    assert reader.open("hist") is None
    for sequence, total in ((1, 1), (2, 3), (3, 6)):
        assert commit(writer, sequence)
        assert requests(reader) == requests(writer) == total
        assert reader.committed("hist", "main") == sequence
    assert not commit(reader, 3)


def test_a_table_begun_anew_is_not_taken_for_the_old_one(tmp_path):
    reader = Lake(tmp_path / "lake")
    commit(Lake(tmp_path / "lake"), 1)
    assert requests(reader) == 1
    (tmp_path / "lake").rename(tmp_path / "away")
    assert reader.open("hist") is None
    commit(Lake(tmp_path / "lake"), 5)
    assert requests(reader) == 5


def test_a_log_is_read_once_a_version(tmp_path, monkeypatch):
    opened = []
    real = module.DeltaTable
    monkeypatch.setattr(module, "DeltaTable", lambda path: opened.append(path) or real(path))
    lake = Lake(tmp_path)
    for sequence in (1, 2, 3):
        commit(lake, sequence)
        assert lake.committed("hist", "main") == sequence
        assert requests(lake) == sequence * (sequence + 1) / 2
    # The first look finds none; the first commit makes the table, which is then read.
    assert len(opened) == 2


def test_the_files_of_some_days_are_those_of_the_newest_version(tmp_path):
    reader, writer = Lake(tmp_path), Lake(tmp_path)
    commit(writer, 1)
    days = date(2021, 1, 1), date(2021, 12, 31)
    before = reader.file_uris("hist", *days)
    assert len(before) == 1
    before.clear()  # an answer is the asker's own
    assert len(reader.file_uris("hist", *days)) == 1
    assert not reader.file_uris("hist", date(2021, 12, 31), date(2021, 12, 31))
    commit(writer, 2)
    assert len(reader.file_uris("hist", *days)) == len(writer.file_uris("hist", *days)) == 2
    commit(reader, 3)
    assert len(reader.file_uris("hist", *days)) == 3
