"""The state: kept once, shared between processes, and never opened by an older nibai."""

import subprocess
import sys
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from support import postgres

from nibai.errors import StoreError
from nibai.store.state import migrations, tables
from nibai.store.state.database import open_state
from nibai.store.state.detectors import Position, detectors, put_detectors
from nibai.store.state.notes import drop_notes, note, notes, put_notes
from nibai.store.state.replacing import replace_rows

WRITER = """
import sys
from nibai.store.state.database import open_state
state = open_state(sys.argv[1])
for i in range(int(sys.argv[3])):
    change = {"id": f"{sys.argv[2]}-{i}", "endpoint": "e", "declared_at": 1.0 * i, "sentences": []}
    state.put_change(change)
    state.set_cursor("shared", i, i)
    if state.lease(str(i), sys.argv[2], now=0.0, seconds=60):
        print(i)
state.close()
"""


def change(name="chg-1", at=1.0, **more):
    return {"id": name, "endpoint": "p/s/n", "declared_at": at, "sentences": [], **more}


def audit(name="aud-1", **more):
    return {"id": name, "change": {"id": "chg-1"}, "verdict": "confirmed", "level": 0.95, **more}


@pytest.fixture(scope="session")
def postgres_server():
    folder = postgres.programs()
    if folder is None:
        pytest.skip("no PostgreSQL on this machine: the state was tested on SQLite only")
    with postgres.server(folder) as address:
        yield address


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.e2e)])
def path(request, tmp_path):
    """Where the state is: a file, or an empty database."""
    if request.param == "sqlite":
        return tmp_path / "folder" / "state.sqlite"
    return postgres.new_database(request.getfixturevalue("postgres_server"))


on_sqlite = pytest.mark.parametrize("path", ["sqlite"], indirect=True)


@contextmanager
def looking_into(path):
    engine = sa.create_engine(str(path) if "://" in str(path) else f"sqlite:///{path}")
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def state(path):
    opened = open_state(path)
    yield opened
    opened.close()


def test_what_was_stored_is_there_after_reopening(path):
    first = open_state(path)
    first.put_change(change(sentences=["2x faster"]))
    first.put_audit(audit(), 5.0)
    first.set_cursor("main", 7, 3)
    first.set_watermark("roll_up", "2026-03-01")
    first.close()
    again = open_state(path)
    assert again.change("chg-1") == change(sentences=["2x faster"])
    assert again.audit("aud-1") == audit()
    assert again.audits() == [("aud-1", "chg-1", 5.0, "confirmed")]
    assert again.cursor("main") == (7, 3)
    assert again.watermark("roll_up") == "2026-03-01"
    again.close()


def test_what_is_not_there_is_none(state):
    assert state.change("x") is None
    assert state.audit("x") is None
    assert state.cursor("x") is None
    assert state.watermark("x") is None
    assert state.changes() == state.audits() == []


def test_changes_come_newest_first(state):
    for name, at in (("a", 1.0), ("b", 3.0), ("c", 2.0)):
        state.put_change(change(name, at))
    assert [document["id"] for document in state.changes()] == ["b", "c", "a"]


def test_the_claims_of_a_change_are_rows_of_their_own(state, path):
    state.put_change(change(sentences=["2x faster", "same predictions"]))
    with looking_into(path) as connection:
        rows = connection.execute(sa.select(tables.CLAIMS)).all()
    assert [tuple(row) for row in rows] == [
        ("chg-1", 0, "2x faster"),
        ("chg-1", 1, "same predictions"),
    ]


def test_an_audit_is_never_overwritten(state):
    state.put_audit(audit(), 5.0)
    with pytest.raises(StoreError, match="stored already"):
        state.put_audit(audit(verdict="refuted"), 6.0)
    assert state.audit("aud-1")["verdict"] == "confirmed"


def test_digests_are_found_again_and_forgotten_after_a_day(state):
    state.put_digests("main", [(b"a" * 16, 100.0), (b"b" * 16, 200.0)])
    state.put_digests("main", [(b"a" * 16, 300.0)])
    state.put_digests("other", [(b"c" * 16, 300.0)])
    assert sorted(state.digests("main", 150.0)) == [(b"a" * 16, 300.0), (b"b" * 16, 200.0)]
    state.put_digests("main", [(b"d" * 16, 300.0 + 86_401.0)])
    assert state.digests("main", 0.0) == [(b"d" * 16, 300.0 + 86_401.0)]


def test_a_row_is_replaced_by_its_whole_key_and_no_other(state):
    table = tables.METERED
    rows = [
        {"source": source, "month": month, "dollars": 1.0, "dearest": 0.5}
        for source in ("a", "b") for month in ("2026-01", "2026-02")
    ]  # fmt: skip
    with state.begin() as connection:
        replace_rows(connection, table, [])
        replace_rows(connection, table, rows)
        replace_rows(connection, table, [rows[1] | {"dollars": 9.0}, rows[0] | {"source": "c"}])
        found = connection.execute(sa.select(table.c.source, table.c.month, table.c.dollars)).all()
    assert sorted(map(tuple, found)) == [
        ("a", "2026-01", 1.0), ("a", "2026-02", 9.0),
        ("b", "2026-01", 1.0), ("b", "2026-02", 1.0), ("c", "2026-01", 1.0),
    ]  # fmt: skip


def test_a_note_is_found_by_its_name_and_by_its_head_to_the_letter(state):
    with state.begin() as connection:
        put_notes(
            connection, {"pull_%:a": "1", "pull_%:b:c": "2", "pull_x:a": "3", "pullx%:a": "4"}
        )
        put_notes(connection, {"pull_%:a": "5"})
        assert notes(connection, "pull_%:") == {"a": "5", "b:c": "2"}
        drop_notes(connection, [])
        drop_notes(connection, ["pull_%:a", "nowhere"])
        assert note(connection, "pull_%:a") is None
        assert note(connection, "pull_%:b:c") == "2"


def test_a_lease_is_held_renewed_and_taken_over_when_it_ends(state):
    assert state.lease("main", "one", now=0.0, seconds=60)
    assert not state.lease("main", "two", now=30.0, seconds=60)
    assert state.lease("main", "one", now=50.0, seconds=60)
    assert not state.lease("main", "two", now=100.0, seconds=60)
    assert state.lease("main", "two", now=111.0, seconds=60)
    assert not state.lease("main", "one", now=112.0, seconds=60)


def test_two_processes_write_at_once_lose_nothing_and_never_hold_one_lease(path):
    open_state(path).close()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name, "40"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in ("a", "b")
    ]  # fmt: skip
    won = []
    for writer in writers:
        out, err = writer.communicate(timeout=60)
        assert writer.returncode == 0, err
        won += out.split()
    assert sorted(won, key=int) == [str(i) for i in range(40)]
    state = open_state(path)
    assert len(state.changes()) == 80
    assert state.cursor("shared") == (39, 39)
    state.close()


@on_sqlite
def test_the_file_is_in_wal_mode(state, path):
    state.put_change(change())
    with looking_into(path) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_opening_twice_migrates_once(path):
    for _ in range(2):
        open_state(path).close()
    with looking_into(path) as connection:
        versions = connection.execute(sa.select(tables.SCHEMA_VERSION)).all()
    assert [tuple(row) for row in versions] == [(len(migrations.STEPS),)]


def test_a_newer_schema_is_refused(path):
    open_state(path).close()
    with looking_into(path) as connection:
        connection.execute(tables.SCHEMA_VERSION.update().values(version=99))
    with pytest.raises(StoreError) as caught:
        open_state(path)
    assert str(caught.value) == (
        f"{path}: the state has version 99, this nibai knows {len(migrations.STEPS)}: "
        "use the newer nibai, or another data folder"
    )


def test_a_failed_step_leaves_the_old_version(path, monkeypatch):
    open_state(path).close()

    def broken(connection):
        connection.exec_driver_sql("CREATE TABLE half (a INTEGER)")
        connection.exec_driver_sql("no such statement")

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, broken))
    with pytest.raises(StoreError):
        open_state(path)
    monkeypatch.undo()
    state = open_state(path)
    assert state.changes() == []
    state.close()
    with looking_into(path) as connection:
        assert not sa.inspect(connection).has_table("half")


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "state.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match=r"state\.sqlite.*cannot be read"):
        open_state(path)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (
            "postgresql://me:secret@localhost:1/nibai",
            "postgresql://me:***@localhost:1/nibai: the state cannot be read or written (",
        ),
        (
            "redis://localhost/0",
            "redis://localhost/0: no database address nibai knows (",
        ),
    ],
)
def test_an_address_that_leads_nowhere_is_named_without_its_password(address, said):
    with pytest.raises(StoreError) as caught:
        open_state(address)
    assert str(caught.value).startswith(said)
    assert "secret" not in str(caught.value)


def test_a_missing_driver_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError) as caught:
        open_state("postgresql://me@localhost/nibai")
    assert str(caught.value) == (
        "postgresql://me@localhost/nibai: the driver psycopg is not installed: "
        "pip install 'nibai[postgresql]'"
    )


def test_every_table_of_the_specification_exists():
    assert set(tables.METADATA.tables) == {
        "schema_version", "changes", "claims", "cursors", "audits", "alert_state",
        "alert_deliveries", "alert_silences",
        "audit_slots", "maintenance", "payload_digests", "collectors",
        "watches", "detectors", "deployments", "capture_hours", "capabilities",
        "detections", "push_silences",
        "watermarks", "revisions", "metered", "settling", "young_reads",
        "silent_series",
    }  # fmt: skip


def test_a_state_of_the_first_version_learns_to_keep_watches(tmp_path):
    path = tmp_path / "state.sqlite"
    open_state(path).close()
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE watches"))
        connection.execute(sa.text("UPDATE schema_version SET version = 1"))
    engine.dispose()
    state = open_state(path)
    assert state.watch("c", "p50") is None
    assert state.put_watch("c", "p50", 3, {"last": 3}) == {"last": 3}
    assert state.put_watch("c", "p50", 3, {"last": 3, "other": 1}) == {"last": 3}
    assert state.put_watch("c", "p50", 2, {"last": 2}) == {"last": 3}
    assert state.put_watch("c", "p50", 4, {"last": 4}) == {"last": 4}
    assert state.watch("c", "p50") == {"last": 4}
    state.close()


def test_a_state_of_the_second_version_learns_to_keep_detectors(tmp_path):
    path = tmp_path / "state.sqlite"
    open_state(path).close()
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE detectors"))
        connection.execute(sa.text("UPDATE schema_version SET version = 2"))
    engine.dispose()
    state = open_state(path)
    assert detectors(state, 300.0) == {}

    def put(cursor, seconds=300.0, **more):
        return put_detectors(state, seconds, [Position("e", "s", {"cursor": cursor, **more})])

    assert put(3) == [True]
    assert put(3, other=1) == [False]
    assert put(2) == [False]
    assert put(1, seconds=900.0) == [True]
    assert put(4) == [True]
    assert put(4, begun=True) == [False], "no other look's alarm is told again"
    assert detectors(state, 300.0) == {("e", "s"): {"cursor": 4, "begun": True}}
    assert put(4) == [False]
    assert detectors(state, 300.0) == {("e", "s"): {"cursor": 4, "begun": True}}
    state.close()


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_data_folder_that_cannot_be_made_is_said_plainly(tmp_path, below):
    taken = tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(StoreError, match=r"taken.*: cannot be made a data folder \(.*--data"):
        open_state(taken / below / "state.sqlite")
