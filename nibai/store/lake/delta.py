"""The lake: append-only Delta tables of additive integer rows, partitioned by day.

Commits are idempotent: each carries (collector id, segment number) as a Delta application
transaction, and a segment whose number the table already holds is not written again. Delta keeps
the number but does not refuse a replayed one, so the table is asked before every commit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pyarrow as pa
from deltalake import (
    CommitProperties,
    DeltaTable,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import DeltaError, TableNotFoundError

from nibai.errors import StoreError
from nibai.store.lake.rows import TABLES

ATTEMPTS = 4

KEPT_DAYS = 64
"""Stretches of days whose files are remembered: a look asks for the same few again and again."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A table at one version, the commit file that made it so, and files of days asked for."""

    table: DeltaTable
    version: int
    commit: tuple[int, int]
    files: dict[tuple[date, date], list[str]] = field(default_factory=dict)


class Lake:
    """The tables below one folder (or object store address).

    A table is read again only when it has a newer version: reading its log takes milliseconds, and
    a look at the lake asks dozens of times.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        self._opened: dict[str, _Opened] = {}

    def path(self, table: str) -> str:
        """Where one table lives."""
        return f"{self.root.rstrip('/')}/{table}"

    def open(self, table: str) -> DeltaTable | None:
        """The table at its newest version, None before its first commit."""
        known = self._opened.get(table)
        if known is not None and self._is_newest(table, known):
            return known.table
        try:
            found = DeltaTable(self.path(table))
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise _unreadable(self.path(table), error) from error
        self._remember(table, found)
        return found

    def committed(self, table: str, collector: str) -> int:
        """The newest segment number of a collector that a table holds; 0 for none."""
        return _newest(self.open(table), collector)

    def commit(self, table: str, rows: pa.Table, collector: str, sequence: int) -> bool:
        """Append rows of one segment once; False when the table already holds them.

        A doubtful commit (an error after which it may have happened) is settled by asking again.
        """
        last: Exception | None = None
        for _ in range(ATTEMPTS):
            found = self.open(table)
            if _newest(found, collector) >= sequence:
                return last is not None
            try:
                self._append(found or self.path(table), table, rows, collector, sequence)
            except (DeltaError, OSError) as error:
                last = error
            else:
                if found is not None:
                    self._remember(table, found)  # the write took it to its own version
                return True
        raise StoreError(
            f"{self.path(table)}: segment {sequence} cannot be committed ({_line(last)}): "
            "check space and permissions; nothing is lost, it is tried again"
        ) from last

    def file_uris(self, table: str, first: date, last: date) -> list[str]:
        """Files that hold the days from `first` to `last`, both included, of one snapshot."""
        found = self.open(table)
        if found is None:
            return []
        opened = self._opened.get(table)
        known = {} if opened is None or opened.table is not found else opened.files
        if (first, last) not in known:
            if len(known) >= KEPT_DAYS:
                known.clear()
            days = f"day >= '{first.isoformat()}' AND day <= '{last.isoformat()}'"
            known[first, last] = list(found.file_uris(file_pruning_predicate=days))
        return list(known[first, last])

    def forget(self, table: str) -> None:
        """Let go of a table's handle: what it listed before is not there any more."""
        self._opened.pop(table, None)

    def _remember(self, table: str, found: DeltaTable) -> None:
        version = found.version()
        commit = self._commit_file(table, version)
        if commit is not None:
            self._opened[table] = _Opened(found, version, commit)

    def _is_newest(self, table: str, known: _Opened) -> bool:
        # The file itself is compared, too: a table may have been moved away and begun anew.
        return (
            self._commit_file(table, known.version + 1) is None
            and self._commit_file(table, known.version) == known.commit
        )

    def _commit_file(self, table: str, version: int) -> tuple[int, int] | None:
        """(inode, time in ns) of a version's commit; None when there is none here on disk."""
        try:
            found = Path(f"{self.path(table)}/_delta_log/{version:020d}.json").stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    @staticmethod
    def _append(
        target: DeltaTable | str, table: str, rows: pa.Table, collector: str, sequence: int
    ) -> None:
        write_deltalake(
            target,
            rows.cast(TABLES[table]),
            mode="append",
            partition_by=["day"],
            writer_properties=WRITER,
            commit_properties=CommitProperties(app_transactions=[Transaction(collector, sequence)]),
        )


WRITER = WriterProperties(compression="ZSTD")
"""Delta's own default is snappy; zstd is a third smaller on integer rows."""


def _newest(table: DeltaTable | None, collector: str) -> int:
    return 0 if table is None else table.transaction_version(collector) or 0


def _unreadable(path: str, error: Exception) -> StoreError:
    return StoreError(
        f"{path}: the table cannot be read ({_line(error)}): restore it, or move it away and let "
        "nibai start a new one"
    )


def _line(error: Exception | None) -> str:
    return str(error).splitlines()[0][:200] if error is not None and str(error) else "no answer"
