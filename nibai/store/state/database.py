"""Small mutable state: changes, audits, cursors, digests; SQLite, or PostgreSQL.

Losing it costs the history of changes, audits and alerts, never requests: those are in the lake.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nibai.errors import StoreError
from nibai.store.state import migrations
from nibai.store.state.notes import drop_notes, note, notes, put_notes
from nibai.store.state.replacing import replace_rows
from nibai.store.state.tables import (
    AUDITS,
    CHANGES,
    CLAIMS,
    COLLECTORS,
    CURSORS,
    PAYLOAD_DIGESTS,
    WATCHES,
)

BUSY_TIMEOUT_MS = 10_000
ONE_AT_A_TIME = 7_524_897_124_210
"""Key of PostgreSQL's advisory lock: transactions of the state follow one another, as in SQLite."""


class State:
    """The state database; open it with `open_state`."""

    def __init__(self, engine: sa.Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    # -- changes --------------------------------------------------------------------------
    def put_change(self, change: Mapping[str, Any]) -> None:
        """Store a change (the document of `nibai.document`); one id is stored once."""
        with self.begin() as connection:
            insert_change(connection, change)

    def change(self, change_id: str) -> dict[str, Any] | None:
        """One change, None when there is none of that id."""
        found = self._documents(sa.select(CHANGES.c.document).where(CHANGES.c.id == change_id))
        return found[0] if found else None

    def changes(self) -> list[dict[str, Any]]:
        """All changes, the newest first."""
        order = (CHANGES.c.declared_at.desc(), CHANGES.c.id)
        return self._documents(sa.select(CHANGES.c.document).order_by(*order))

    # -- audits ---------------------------------------------------------------------------
    def put_audit(self, document: Mapping[str, Any], created_at: float) -> None:
        """Store an audit for ever; it is never changed."""
        row = {
            "id": document["id"],
            "change": document["change"]["id"],
            "created_at": created_at,
            "verdict": document["verdict"],
            "document": json.dumps(document),
        }
        with self.begin() as connection:
            connection.execute(AUDITS.insert().values(row))

    def audit(self, audit_id: str) -> dict[str, Any] | None:
        """One audit, None when there is none of that id."""
        found = self._documents(sa.select(AUDITS.c.document).where(AUDITS.c.id == audit_id))
        return found[0] if found else None

    def audits(self) -> list[tuple[str, str, float, str]]:
        """(id, change, created at, verdict) of all audits, the newest first."""
        columns = (AUDITS.c.id, AUDITS.c.change, AUDITS.c.created_at, AUDITS.c.verdict)
        with self.begin() as connection:
            rows = connection.execute(sa.select(*columns).order_by(AUDITS.c.created_at.desc()))
            return [(str(a), str(b), float(c), str(d)) for a, b, c, d in rows]

    # -- watches ---------------------------------------------------------------------------
    def put_watch(
        self, change: str, part: str, last_block: int, document: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Store how far a part of a change was watched; the document that counts from now on.

        What was stored wins when it has seen as many blocks: two watchers cannot undo each other.
        """
        key = (WATCHES.c.change == change, WATCHES.c.part == part)
        text = json.dumps(document)
        row = {"change": change, "part": part, "last_block": last_block, "document": text}
        with self.begin() as connection:
            stored = connection.execute(
                sa.select(WATCHES.c.last_block, WATCHES.c.document).where(*key)
            ).first()
            if stored is not None and stored[0] >= last_block:
                return dict(json.loads(stored[1]))
            replace_rows(connection, WATCHES, [row])
        return dict(json.loads(text))

    def watch(self, change: str, part: str) -> dict[str, Any] | None:
        """What was stored of a watched part, None before the first look."""
        query = sa.select(WATCHES.c.document).where(
            WATCHES.c.change == change, WATCHES.c.part == part
        )
        found = self._documents(query)
        return found[0] if found else None

    # -- what collectors keep (nibai.store.wal.ingest.Ledger) -----------------------------------
    def put_digests(self, collector: str, digests: Sequence[tuple[bytes, float]]) -> None:
        """Remember digests of payloads that leave the log; very old ones are dropped."""
        if not digests:
            return
        table = PAYLOAD_DIGESTS
        newest = max(at for _, at in digests)
        with self.begin() as connection:
            connection.execute(table.delete().where(table.c.seen_at < newest - 86400))
            seen_at = {digest.hex(): at for digest, at in digests}
            rows = [
                {"collector": collector, "digest": digest, "seen_at": at}
                for digest, at in seen_at.items()
            ]
            replace_rows(connection, table, rows)

    def digests(self, collector: str, since: float) -> list[tuple[bytes, float]]:
        """Digests put since a time."""
        table = PAYLOAD_DIGESTS
        query = sa.select(table.c.digest, table.c.seen_at).where(
            table.c.collector == collector, table.c.seen_at >= since
        )
        with self.begin() as connection:
            return [(bytes.fromhex(digest), at) for digest, at in connection.execute(query)]

    def set_cursor(self, collector: str, minute: int, sequence: int) -> None:
        """Everything that arrived up to this minute is in the lake."""
        row = {"collector": collector, "final_minute": minute, "sequence": sequence}
        with self.begin() as connection:
            replace_rows(connection, CURSORS, [row])

    def cursor(self, collector: str) -> tuple[int, int] | None:
        """(final minute, segment number) of a collector, None before its first fold."""
        query = sa.select(CURSORS.c.final_minute, CURSORS.c.sequence).where(
            CURSORS.c.collector == collector
        )
        with self.begin() as connection:
            row = connection.execute(query).first()
        return None if row is None else (int(row[0]), int(row[1]))

    def lease(self, collector: str, owner: str, now: float, seconds: float) -> bool:
        """Take or renew the right to write as a collector; False while another owner holds it."""
        table = COLLECTORS
        with self.begin() as connection:
            row = connection.execute(
                sa.select(table.c.owner, table.c.lease_until).where(table.c.id == collector)
            ).first()
            if row is not None and row[0] != owner and row[1] > now:
                return False
            taken = {"id": collector, "owner": owner, "lease_until": now + seconds}
            replace_rows(connection, table, [taken])
        return True

    # -- maintenance ----------------------------------------------------------------------
    def set_watermark(self, task: str, day: str) -> None:
        """A maintenance task is done up to and including a day."""
        with self.begin() as connection:
            put_notes(connection, {task: day})

    def watermark(self, task: str) -> str | None:
        """The last day a maintenance task is done for."""
        with self.begin() as connection:
            return note(connection, task)

    def set_read_until(
        self, source: str, read_until: Mapping[str, float], finished: Sequence[str] = ()
    ) -> None:
        """How far some series of a pulled source were read; the finished ones are forgotten."""
        head = f"pull:{source}:"
        if not read_until and not finished:
            return
        with self.begin() as connection:
            drop_notes(connection, [head + one for one in finished])
            put_notes(connection, {head + one: repr(at) for one, at in read_until.items()})

    def read_until(self, source: str) -> dict[str, float]:
        """How far every series of a pulled source was read."""
        with self.begin() as connection:
            known = notes(connection, f"pull:{source}:")
        return {series: float(until) for series, until in known.items()}

    # -- access ---------------------------------------------------------------------------
    def _documents(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        with self.begin() as connection:
            return [json.loads(text) for (text,) in connection.execute(query)]

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.IntegrityError as error:
            raise StoreError(f"{self._name}: this is stored already ({_line(error)})") from error
        except sa.exc.SQLAlchemyError as error:
            raise StoreError(
                f"{self._name}: the state cannot be read or written ({_line(error)}): "
                "check space, permissions and the address"
            ) from error


def insert_change(connection: sa.Connection, change: Mapping[str, Any]) -> None:
    """Store a change as part of a transaction."""
    row = {
        "id": change["id"],
        "endpoint": change["endpoint"],
        "declared_at": change["declared_at"] or 0.0,
        "document": json.dumps(change),
    }
    sentences = [
        {"change": change["id"], "position": i, "sentence": text}
        for i, text in enumerate(change.get("sentences", ()))
    ]
    connection.execute(CHANGES.insert().values(row))
    if sentences:
        connection.execute(CLAIMS.insert(), sentences)


def open_state(where: str | Path) -> State:
    """Open (and bring up to date) the state: a SQLite file, or a database address.

    Raises StoreError when it cannot be opened or was written by a newer nibai.
    """
    text = str(where)
    if "://" in text:
        name, url = sa.make_url(text).render_as_string(hide_password=True), text
    else:
        _make_folder(Path(text).parent)
        name, url = text, f"sqlite:///{text}"
    engine = _engine(url, name)
    state = State(engine, name)
    try:
        with state.begin() as connection:
            migrations.migrate(connection, name)
    except BaseException:
        state.close()
        raise
    return state


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be made a data folder ({error.strerror}): "
            "give a folder that may be written (--data, or `data` in nibai.yaml)"
        ) from error


def _engine(url: str, name: str) -> sa.Engine:
    """Transactions that read and then write are safe: one runs at a time."""
    try:
        engine = sa.create_engine(url, pool_pre_ping=True)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError) as error:
        raise StoreError(
            f"{name}: no database address nibai knows ({_line(error)}): "
            "write postgresql://USER@HOST/DATABASE, or the path of a SQLite file"
        ) from error
    except ModuleNotFoundError as error:
        raise StoreError(
            f"{name}: the driver {error.name} is not installed: pip install 'nibai[postgresql]'"
        ) from error
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _sqlite_settings)
        # pysqlite begins transactions late; this one locks at once.
        begin = "BEGIN IMMEDIATE"
    else:
        begin = f"SELECT pg_advisory_xact_lock({ONE_AT_A_TIME})"
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _sqlite_settings(connection: Any, _record: object) -> None:  # noqa: ANN401 - DB-API has no types
    connection.isolation_level = None
    # First the time-out: switching to WAL waits for another process that does the same.
    for setting in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {setting}")


def _line(error: Exception) -> str:
    return str(error).splitlines()[0][:200]
