"""Answers that were read before are not stored again."""

from dataclasses import replace

from support.answers import answers, record

from nibai.store.pulled.known_answers import unknown_answers
from nibai.store.wal.ingest import Ingest, MemoryLedger
from nibai.store.wal.quarantine import MAX_BYTES, set_aside


def requests(batch):
    return batch.column("request_id").to_pylist()


def test_what_is_stored_and_what_comes_twice_is_left_out(tmp_path):
    ingest = Ingest(tmp_path, "main", MemoryLedger(), clock=lambda: 0.0)
    try:
        first = unknown_answers(ingest.lake, answers(record(1), record(2), record(1)))
        assert requests(first) == ["q1", "q2"]
        ingest.append(None, None, first)
        ingest.flush()
        later = replace(record(2), at=record(2).at + 5)
        again = answers(record(2), record(3), later, record(1, variant="int8"))
        assert requests(unknown_answers(ingest.lake, again)) == ["q3", "q2", "q1"]
        assert unknown_answers(ingest.lake, first).num_rows == 0
        assert unknown_answers(ingest.lake, first.slice(0, 0)).num_rows == 0
    finally:
        ingest.close()


def test_the_quarantine_keeps_two_files(tmp_path):
    for _ in range(3):
        set_aside(tmp_path, "s", [{"why": "x" * MAX_BYTES}])
    set_aside(tmp_path, "other", [])
    names = sorted(path.name for path in (tmp_path / "quarantine").iterdir())
    assert names == ["s.jsonl", "s.jsonl.1"]
