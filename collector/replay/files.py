"""Rows of one file of captured requests, whatever its format; broken ones as such."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from collector.inputs import broken, check_packed, kind_of, local_copy
from collector.replay.rows import NOT_JSON, NOT_UTF8, Row, convert, rejected
from nibai.errors import UsageError

MAX_LINE_BYTES = 16 << 20
"""Longer lines are no request that an endpoint would take (SageMaker takes 6 MB)."""

TOO_LONG = f"longer than {MAX_LINE_BYTES >> 20} MiB"
UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
BATCH_ROWS = 1024

Line = tuple[int, bytes, int]
"""Number, text without its end (its start alone when too long), size."""


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
    for number, line, size in _lines(path, name):
        if size > MAX_LINE_BYTES:
            yield rejected(number, TOO_LONG, size, line)
            continue
        try:
            item = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError:
            yield rejected(number, NOT_UTF8, size, line)
        except (ValueError, RecursionError):
            yield rejected(number, NOT_JSON, size, line)
        else:
            yield convert(item, columns, number, line=line)


def _csv(path: Path, name: str, columns: Mapping[str, str]) -> Iterator[Row]:
    csv.field_size_limit(MAX_LINE_BYTES)  # the default of 128 KiB is less than a long prompt
    last: list[Line] = []
    reader = csv.reader(_decoded(_lines(path, name), last), strict=True)
    header = next(reader, [])
    _require(header, columns, name)
    while True:
        last.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield _whole(last, "not CSV")
            continue
        text = "".join(cells)
        if any(size > MAX_LINE_BYTES for _, _, size in last):
            yield _whole(last, TOO_LONG)
        elif any("\udc80" <= sign <= "\udcff" for sign in text):
            yield _whole(last, NOT_UTF8)
        elif len(cells) != len(header):
            yield _whole(last, "wrong number of columns")
        else:
            row = dict(zip(header, cells, strict=True))
            line = b"\n".join(text for _, text, _ in last)
            yield convert(row, columns, last[0][0], line=line, cells=True)


def _decoded(lines: Iterator[Line], last: list[Line]) -> Iterator[str]:
    """Lines for the CSV parser; bytes that are no UTF-8 stay visible as lone surrogates."""
    for line in lines:
        last.append(line)
        yield line[1].decode("utf-8", "surrogateescape") + "\n"


def _whole(lines: list[Line], reason: str) -> Row:
    number, start, _ = lines[0]
    return rejected(number, reason, sum(size for _, _, size in lines), start)


def _lines(path: Path, name: str) -> Iterator[Line]:
    """Lines that are not empty; of one that is too long only the start is held in memory."""
    try:
        with _opened(path) as file:
            number = 0
            while piece := file.readline(MAX_LINE_BYTES + 2):
                number += 1
                if number == 1:
                    piece = _without_mark(piece, name)
                size = len(piece)
                rest = piece
                while size > MAX_LINE_BYTES and not rest.endswith(b"\n"):
                    rest = file.readline(MAX_LINE_BYTES)
                    size += len(rest)
                    if not rest:
                        break
                if stripped := piece.rstrip(b"\r\n"):
                    yield number, stripped, size
    except (OSError, EOFError, pa.ArrowInvalid) as error:
        raise broken(name, error) from error


def _opened(path: Path) -> IO[bytes]:
    ending = path.suffix.lower()
    if ending == ".gz":
        return gzip.open(path)  # type: ignore[return-value]
    if ending == ".zst":
        return pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")  # type: ignore[no-any-return]
    return path.open("rb")


def _without_mark(line: bytes, name: str) -> bytes:
    if line.startswith(UTF16_MARKS):
        raise UsageError(f"{name}: is UTF-16: convert it to UTF-8 first")
    return line.removeprefix(UTF8_MARK)


def _require(names: list[str], columns: Mapping[str, str], name: str) -> None:
    for role, column in columns.items():
        if column not in names:
            listed = ", ".join(repr(known) for known in names) or "no columns at all"
            raise UsageError(
                f"{name}: no column {column!r} (--columns {role}=…); there are {listed}"
            )
