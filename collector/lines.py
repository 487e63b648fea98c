"""Lines of a text file in bounded memory, packed (gz, zst) or not."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa

from collector.inputs import broken
from nibai.errors import UsageError

MAX_LINE_BYTES = 16 << 20
"""No endpoint answers more in one line (SageMaker: 6 MB)."""

UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end; of one that is too long `start` is the start alone.

    `quotes` counts the quotation marks of the whole line.
    """

    number: int
    start: bytes
    size: int
    quotes: int = 0

    @property
    def too_long(self) -> bool:
        """Whether the line is longer than `MAX_LINE_BYTES`."""
        return self.size > MAX_LINE_BYTES


def read_lines(path: Path, name: str) -> Iterator[Line]:
    """Every line that is not empty; CollectError for a file that cannot be read to its end."""
    try:
        with _opened(path) as file:
            yield from lines_in(file, name)
    except (OSError, EOFError, pa.ArrowInvalid) as error:
        raise broken(name, error) from error


def lines_in(file: IO[bytes], name: str) -> Iterator[Line]:
    """Every line of an open file that is not empty; what reading raises is the caller's."""
    number = 0
    while piece := file.readline(MAX_LINE_BYTES + 2):
        number += 1
        text = _without_mark(piece, name) if number == 1 else piece
        size, quotes = len(text), text.count(b'"')
        while size > MAX_LINE_BYTES and not piece.endswith(b"\n"):
            piece = file.readline(MAX_LINE_BYTES)
            size, quotes = size + len(piece), quotes + piece.count(b'"')
            if not piece:
                break
        if stripped := text.rstrip(b"\r\n"):
            yield Line(number, stripped, size, quotes)


def _opened(path: Path) -> IO[bytes]:
    ending = path.suffix.lower()
    if ending == ".gz":
        return gzip.open(path)  # type: ignore[return-value]
    if ending == ".zst":
        return io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))
    return path.open("rb")


def _without_mark(line: bytes, name: str) -> bytes:
    if line.startswith(UTF16_MARKS):
        raise UsageError(f"{name}: is UTF-16: convert it to UTF-8 first")
    return line.removeprefix(UTF8_MARK)
