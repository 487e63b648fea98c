"""Connections to DuckDB: two empty databases in memory per process, a cursor for every query.

One is for the lake, one for files from outside. Making a database costs tens of milliseconds, a
cursor well under one. Cursors share nothing that the store uses: tables registered on one, rejected
lines and the time zone are not seen by another.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from pathlib import Path

import duckdb


def connect() -> duckdb.DuckDBPyConnection:
    """A connection of its own for one thread; let go of it after the query."""
    return without_progress(_database(os.getpid()).cursor())


def bound_memory(most_bytes: int, spill: Path) -> None:
    """Let the queries of this process keep so much in memory, and spill the rest into a folder.

    The folder is this process's own: what one that was killed left there is removed.
    """
    shutil.rmtree(spill, ignore_errors=True)
    with contextlib.suppress(OSError):
        spill.mkdir(parents=True)
    path = str(spill).replace("'", "''")
    connect().execute(
        f"SET memory_limit = '{most_bytes} B'; SET temp_directory = '{path}'; "
        # What a query let go of is given back to the system, not kept for the next one.
        "SET allocator_flush_threshold = '16MiB'"
    )


def connect_files() -> duckdb.DuckDBPyConnection:
    """The same for files from outside; times without a zone are UTC, wherever the machine stands.

    What breaks DuckDB itself breaks its database: the next file then gets a new one.
    """
    try:
        return _for_files(_files_database(os.getpid()).cursor())
    except duckdb.FatalException:
        _files_database.cache_clear()
        return _for_files(_files_database(os.getpid()).cursor())


def connect_alone() -> duckdb.DuckDBPyConnection:
    """A database of its own for files from outside, whose settings can be locked."""
    return _for_files(_new_for_files())


def without_progress(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """DuckDB draws a bar of queries above 2 s on standard output, where our documents go."""
    connection.execute("SET enable_progress_bar = false")  # each session has its own
    return connection


@functools.cache
def _database(process: int) -> duckdb.DuckDBPyConnection:
    """By process, because DuckDB's threads do not survive a fork; a parent's is left untouched."""
    del process
    # Files of the lake are read once; kept in memory they would only grow a process that stays.
    return duckdb.connect(config={"enable_external_file_cache": False})


@functools.cache
def _files_database(process: int) -> duckdb.DuckDBPyConnection:
    del process
    return _new_for_files()


def _new_for_files() -> duckdb.DuckDBPyConnection:
    """The optimizer must not reason from a Parquet file's statistics: NaN hides from them.

    DuckDB 2.0 takes `isnan` for false in a file that pyarrow wrote with NaN in it.
    """
    made = duckdb.connect(config={"enable_external_file_cache": False})
    made.execute("SET disabled_optimizers = 'statistics_propagation'")
    return made


def _for_files(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    connection.execute("SET TimeZone = 'UTC'")
    return without_progress(connection)
