"""Rows of CSV and JSON Lines files as tables of text; what cannot be read is counted.

The readers for measurements hand files to DuckDB, which gives up at the first line it cannot read.
Answers of models hold what models write: here a broken line costs that line, and a broken answer
stays an answer, an invalid one.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from collector.lines import MAX_LINE_BYTES, Line, read_lines
from nibai.errors import UsageError
from nibai.store.engine.columns import text_column

CHUNK_ROWS = 65_536
CHUNK_BYTES = 64 << 20

NOT_JSON = "no JSON object"
NOT_CSV = "no CSV row"
TOO_LONG = f"line longer than {MAX_LINE_BYTES >> 20} MiB"
WRONG_WIDTH = "row with too many or too few cells"

BAD_BYTES = "\ufdd0"
"""Stands where bytes were no UTF-8: a sign that no text has, unlike the replacement character."""

_LONE = re.compile("[\ud800-\udfff]")


class TextRows:
    """One file, read once and chunk by chunk; counts what it leaves out."""

    def __init__(self, path: Path, name: str, kind: str) -> None:
        self.quarantined: Counter[str] = Counter()
        self._first: dict[str, Line] = {}
        self._name = name
        self._lines = read_lines(path, name)
        self._rows = self._csv() if kind == "csv" else self._json()

    def chunks(self) -> Iterator[pa.Table]:
        """Tables of at most 65,536 rows; every column is text, null where a row has none."""
        rows: list[Mapping[str, str | None]] = []
        size = 0
        for row, length in self._rows:
            rows.append(row)
            size += length
            if len(rows) >= CHUNK_ROWS or size >= CHUNK_BYTES:
                yield _table(rows)
                rows, size = [], 0
        if rows:
            yield _table(rows)

    def notes(self) -> list[str]:
        """What was left out so far, and where the first of each kind is."""
        return [
            f"left out {count:,} ({reason}), the first in line {self._first[reason].number:,} "
            f"({self._first[reason].size:,} bytes)"
            for reason, count in self.quarantined.items()
        ]

    def _leave_out(self, reason: str, *lines: Line) -> None:
        """Count lines: a quotation mark that is never closed takes those below it along."""
        self.quarantined[reason] += len(lines)
        self._first.setdefault(reason, lines[0])

    def _json(self) -> Iterator[tuple[Mapping[str, str | None], int]]:
        for line in self._lines:
            if line.too_long:
                self._leave_out(TOO_LONG, line)
                continue
            try:
                found = json.loads(line.start.decode("utf-8", "surrogateescape"))
            except (ValueError, RecursionError):
                self._leave_out(NOT_JSON, line)
                continue
            many = found if isinstance(found, list) else [found]
            for row in many:
                if isinstance(row, dict):
                    yield {key: cell_text(value) for key, value in row.items()}, line.size
                else:
                    self._leave_out(NOT_JSON, line)

    def _header(self, cells: Sequence[str]) -> list[str]:
        names = [cell.strip() for cell in cells]
        twice = next((name for name, count in Counter(names).items() if name and count > 1), None)
        if twice is not None:
            raise UsageError(f"{self._name}: two columns are called {twice!r}: rename one of them")
        return names

    def _csv(self) -> Iterator[tuple[Mapping[str, str | None], int]]:
        csv.field_size_limit(MAX_LINE_BYTES)  # the default of 128 KiB is less than a long answer
        last: list[Line] = []
        reader = csv.reader(_decoded(self._lines, last), strict=True)
        header: list[str] = []
        while True:
            last.clear()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                self._leave_out(NOT_CSV, *last)
                continue
            if any(line.too_long for line in last):
                self._leave_out(TOO_LONG, *last)
            elif not header:
                header = self._header(cells)
            elif len(cells) != len(header):
                self._leave_out(WRONG_WIDTH, *last)
            else:
                size = sum(line.size for line in last)
                yield dict(zip(header, map(cell_text, cells), strict=True)), size


def cell_text(value: object) -> str | None:
    """A JSON value as text: 1 and 1.0 alike, lists and objects as JSON.

    >>> cell_text(1.0), cell_text(True), cell_text([0.5, "a"]), cell_text(None)
    ('1', 'true', '[0.5, "a"]', None)
    """
    if value is None or isinstance(value, str):
        return value if value is None or value.isascii() else _LONE.sub(BAD_BYTES, value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return _LONE.sub(BAD_BYTES, json.dumps(value, ensure_ascii=False))


def _decoded(lines: Iterator[Line], last: list[Line]) -> Iterator[str]:
    """Lines for the CSV parser; bytes that are no UTF-8 become lone surrogates."""
    for line in lines:
        last.append(line)
        if line.too_long:  # only whether a quotation stays open matters to the lines below
            yield '"' * (line.quotes % 2) + "\n"
        else:
            yield line.start.decode("utf-8", "surrogateescape") + "\n"


def _table(rows: list[Mapping[str, str | None]]) -> pa.Table:
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: text_column([row.get(name) for row in rows]) for name in names})
