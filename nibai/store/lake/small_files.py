"""Small files joined while one process goes on writing, so that its commits stay as cheap.

Every commit adds a file a day to a table, and a handle that lists them all takes memory and time
for each: after 1,000 commits a commit took 0.2 s of processor, and the handles of two tables
100 MiB. A day at a time, so that memory stays that of one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from nibai.store.lake.delta import WRITER, Lake
from nibai.store.lake.final_days import HOURS, open_from

MOST_FILES = 32
"""Of a day; an hour of a source that is read hourly is one."""

JOIN_EVERY = 32
"""Commits of one writer after which small files are joined."""


class Joiner:
    """Joins the small files of what one writer commits to, now and then."""

    def __init__(self, tables: Sequence[str]) -> None:
        self._tables = tables
        self._commits = 0

    def committed(self, lake: Lake) -> None:
        """Count a commit; join when enough came."""
        self._commits += 1
        if self._commits % JOIN_EVERY == 0:
            for table in self._tables:
                join_small_files(lake, table, JOIN_EVERY - 1)


def join_small_files(lake: Lake, table: str, most: int = MOST_FILES) -> int:
    """Join the files of days that have more of them; how many days. Appends go on meanwhile.

    A day that somebody else rewrites at the moment is left to the next time.
    """
    found = lake.open(table)
    if found is None:
        return 0
    # Files of final days stay as they are: by their names those in the hours are known.
    first = open_from(lake, table).isoformat() if table in HOURS else ""
    days = [day for day, files in _files_a_day(found).items() if files > most and day >= first]
    joined = 0
    for day in days:
        try:
            found.optimize.compact(
                partition_filters=[("day", "=", day)],
                max_concurrent_tasks=1,
                writer_properties=WRITER,
            )
        except DeltaError:
            break
        joined += 1
    if joined:
        lake.forget(table)
    return joined


def _files_a_day(table: DeltaTable) -> dict[str, int]:
    """Files by day, as "2026-03-01"."""
    folders = (PurePosixPath(uri).parent.name.removeprefix("day=") for uri in table.file_uris())
    found = Counter(folders)
    return dict(sorted(found.items()))
