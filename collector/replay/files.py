"""Rows of one file of captured requests, whatever its format; broken ones as such."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from collector.inputs import broken, check_packed, kind_of, local_copy
from collector.lines import MAX_LINE_BYTES, Line, read_lines
from collector.replay.rows import NOT_JSON, NOT_UTF8, Row, convert, rejected
from nibai.errors import UsageError

TOO_LONG = f"longer than {MAX_LINE_BYTES >> 20} MiB"
BATCH_ROWS = 1024


def read_rows(source: str, columns: Mapping[str, str]) -> tuple[str, Iterator[Row]]:
    """(format, rows) of one local file, remote file or "-"; rows are read as they are asked for."""
    name = "standard input" if source == "-" else source
    copy = local_copy(source)
    path = Path(source) if copy is None else copy.path
    kind = kind_of(path, name) if path.stat().st_size else "json"
    if kind == "parquet":
        return "Parquet", _held(copy, _parquet(path, name, columns))
    check_packed(path, name)
    if kind == "csv":
        return "CSV", _held(copy, _csv(path, name, columns))
    return "JSON Lines", _held(copy, _json_lines(path, name, columns))


def _held(copy: object, rows: Iterator[Row]) -> Iterator[Row]:
    # A copy is removed with the last reference to it: it must outlive the reading.
    yield from rows
    del copy


def _parquet(path: Path, name: str, columns: Mapping[str, str]) -> Iterator[Row]:
    try:
        with closing(pq.ParquetFile(path)) as file:
            _require(file.schema_arrow.names, columns, name)
            number = 0
            for batch in file.iter_batches(BATCH_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield convert(row, columns, number)
    except (OSError, pa.ArrowInvalid) as error:
        raise broken(name, error) from error


def _json_lines(path: Path, name: str, columns: Mapping[str, str]) -> Iterator[Row]:
    for line in read_lines(path, name):
        if line.too_long:
            yield _rejected([line], TOO_LONG)
            continue
        try:
            item = json.loads(line.start.decode("utf-8"))
        except UnicodeDecodeError:
            yield _rejected([line], NOT_UTF8)
        except (ValueError, RecursionError):
            yield _rejected([line], NOT_JSON)
        else:
            yield convert(item, columns, line.number, line=line.start)


def _csv(path: Path, name: str, columns: Mapping[str, str]) -> Iterator[Row]:
    csv.field_size_limit(MAX_LINE_BYTES)  # the default of 128 KiB is less than a long prompt
    last: list[Line] = []
    reader = csv.reader(_decoded(read_lines(path, name), last), strict=True)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise UsageError(
            f"{name}: the first line names no columns ({error}): write a header, or give JSON Lines"
        ) from error
    _require(header, columns, name)
    while True:
        last.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield _rejected(last, "not CSV")
            continue
        text = "".join(cells)
        if any(line.too_long for line in last):
            yield _rejected(last, TOO_LONG)
        elif any("\udc80" <= sign <= "\udcff" for sign in text):
            yield _rejected(last, NOT_UTF8)
        elif len(cells) != len(header):
            yield _rejected(last, "wrong number of columns")
        else:
            row = dict(zip(header, cells, strict=True))
            whole = b"\n".join(line.start for line in last)
            yield convert(row, columns, last[0].number, line=whole, cells=True)


def _decoded(lines: Iterator[Line], last: list[Line]) -> Iterator[str]:
    """Lines for the CSV parser; bytes that are no UTF-8 stay visible as lone surrogates."""
    for line in lines:
        last.append(line)
        yield line.start.decode("utf-8", "surrogateescape") + "\n"


def _rejected(lines: list[Line], reason: str) -> Row:
    return rejected(lines[0].number, reason, sum(line.size for line in lines), lines[0].start)


def _require(names: list[str], columns: Mapping[str, str], name: str) -> None:
    for role, column in columns.items():
        if column not in names:
            listed = ", ".join(repr(known) for known in names) or "no columns at all"
            raise UsageError(
                f"{name}: no column {column!r} (--columns {role}=…); there are {listed}"
            )
