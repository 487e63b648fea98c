"""From what the user typed to opened tables: files, folders, globs, standard input, S3."""

from __future__ import annotations

import glob
import gzip
import io
import json
import sys
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from collector import k6, vllm
from nibai.errors import CollectError, UsageError
from nibai.store.files.scan import Table, open_arrow, open_file

ENDINGS = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".txt": "csv",
    ".json": "json", ".jsonl": "json", ".ndjson": "json",
}  # fmt: skip
PACKED = (".gz", ".zst")
PARQUET_MAGIC = b"PAR1"
PACKED_AS = ((b"\x1f\x8b", ".gz"), (b"\x28\xb5\x2f\xfd", ".zst"))
FOREIGN = {
    **{magic: f"is packed: let its name end in {end}, or unpack it" for magic, end in PACKED_AS},
    b"BZh": "is packed by bzip2: unpack it first (bunzip2)",
    b"\xfd7zXZ": "is packed by xz: unpack it first (unxz)",
    b"PK\x03\x04": "is a zip archive or an Excel workbook: unpack it, or save it as CSV",
    b"\xff\xfe": "is UTF-16: convert it to UTF-8 first",
    b"\xfe\xff": "is UTF-16: convert it to UTF-8 first",
}  # fmt: skip
"""How files begin that read as nonsense where text was expected, and what to do."""
SNIFF_BYTES = 1 << 16
RESULT_WORDS = (b'"ttfts"', *(f'"{one}"'.encode() for one in (*vllm.SUMMARY_FIELDS, "root_group")))
MAX_RESULT_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Opened:
    """One opened source: its table, what format it is (said aloud), and what it already knows.

    `unit` is the unit of its value columns when the format defines it; `failed` likewise.
    `copy` lives as long as the table that reads it.
    """

    table: Table
    format: str
    unit: str | None = None
    failed: str | None = None
    time: str | None = None
    notes: tuple[str, ...] = ()
    copy: Copy | None = None


class Copy:
    """A stream as a local file, removed with its last user."""

    def __init__(self, data: bytes, ending: str = "") -> None:
        with tempfile.NamedTemporaryFile(
            prefix="nibai-", suffix=f".input{ending}", delete=False
        ) as file:
            file.write(data)
        self.path = Path(file.name)
        weakref.finalize(self, self.path.unlink, missing_ok=True)


def expand(sources: tuple[str | pa.Table, ...]) -> list[str | pa.Table]:
    """Folders and globs as their files, sorted; everything else as it is."""
    found: list[str | pa.Table] = []
    for source in sources:
        found += [source] if isinstance(source, pa.Table) else _expand_text(source)
    return found


def open_source(source: str | pa.Table, index: int) -> Opened:
    """Open one source; UsageError when it does not exist, CollectError when it is broken."""
    if isinstance(source, pa.Table):
        return Opened(open_arrow(source, f"table {index + 1}"), "a table")
    name = "standard input" if source == "-" else source
    copy = local_copy(source)
    path = Path(source) if copy is None else copy.path
    if path.stat().st_size == 0:
        return Opened(open_arrow(pa.table({}), name), "an empty file")
    kind = kind_of(path, name)
    if kind == "json":
        special = _special(path, name)
        if special is not None:
            return special
    check_packed(path, name)
    table = open_file(path, kind, name)
    if kind == "csv" and set(table.columns) >= k6.CSV_COLUMNS:
        raise UsageError(f"{name}: {k6.AS_CSV}")
    return Opened(table, kind, copy=copy)


def _expand_text(source: str) -> list[str | pa.Table]:
    if source == "-" or "://" in source:
        return [source]
    if not source:
        raise UsageError("a file has no name: is a variable of your script empty?")
    path = Path(source)
    if path.is_dir():
        files = sorted(str(file) for file in path.iterdir() if _ending(file) in ENDINGS)
        if not files:
            raise UsageError(
                f"{source}: no CSV, JSON or Parquet file in this folder: name the files themselves"
            )
        return list(files)
    if path.exists():
        return [source]
    if any(sign in source for sign in "*?["):
        files = sorted(glob.glob(source, recursive=True))  # noqa: PTH207 - patterns may be absolute
        if files:
            return list(files)
        raise UsageError(f"{source}: no file matches this pattern: check it, and quote it")
    raise UsageError(f"{source}: no such file or folder: check the path")


def _ending(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def local_copy(source: str) -> Copy | None:
    """Standard input and remote files as local ones; None for what is local already."""
    if source == "-":
        data = sys.stdin.buffer.read()
        return Copy(
            data, next((ending for magic, ending in PACKED_AS if data.startswith(magic)), "")
        )
    return _download(source) if "://" in source else None


def _download(url: str) -> Copy:
    """A remote file; credentials come from the usual provider chain."""
    from pyarrow import fs  # noqa: PLC0415 - only for remote files

    try:
        filesystem, path = fs.FileSystem.from_uri(url)
        with filesystem.open_input_stream(path, compression=None) as stream:
            return Copy(stream.read(), "".join(Path(path).suffixes[-2:]))
    except (OSError, pa.ArrowInvalid) as error:
        text = str(error).splitlines()[0][:200]
        raise CollectError(
            f"{url} cannot be fetched ({text}): check the address and your credentials"
        ) from error


def kind_of(path: Path, name: str) -> str:
    """What a file is: by the ending of its name, else by how it begins; refuses what is no text."""
    kind = ENDINGS.get(_ending(path))
    if kind == "parquet":
        return kind
    head = _head(path, name)
    for magic, fact in FOREIGN.items():
        if head.startswith(magic):
            raise UsageError(f"{name}: {fact}")
    if kind is not None:
        return kind
    if head.startswith(PARQUET_MAGIC):
        return "parquet"
    return "json" if head.lstrip()[:1] in (b"{", b"[") else "csv"


def _head(path: Path, name: str) -> bytes:
    try:
        with _unpacked(path) as stream:
            return bytes(stream.read(SNIFF_BYTES))
    except (OSError, EOFError) as error:
        raise broken(name, error) from error


def _unpacked(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked where its name says that it is packed."""
    ending = path.suffix.lower()
    if ending == ".gz":
        return cast("IO[bytes]", gzip.open(path))
    if ending == ".zst":
        packed = pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")
        return cast("IO[bytes]", io.BufferedReader(packed))
    return path.open("rb")


def _special(path: Path, name: str) -> Opened | None:
    """VLLM and k6 results are JSON with a meaning of their own."""
    head = _head(path, name)
    if k6.recognises(head):
        return Opened(open_arrow(k6.table(_lines(path, name), name), name), "k6 results", "ms",
                      failed="failed", time="time", notes=(k6.NOTE,))  # fmt: skip
    if path.stat().st_size > MAX_RESULT_BYTES or not head.lstrip().startswith((b"{", b"[{")):
        return None
    text = b"".join(_lines(path, name))
    if not any(word in text for word in RESULT_WORDS):
        return None  # rows, for DuckDB
    try:
        document = json.loads(text)
    except ValueError:
        document = None  # JSON Lines
    if k6.summarises(document):
        raise UsageError(f"{name}: {k6.ONLY_AVERAGES}")
    if not isinstance(document, dict):
        if vllm.several(text.decode(errors="replace")):
            raise UsageError(
                f"{name}: holds the results of several vLLM runs: write each to a file of its own "
                "(without --append-result)"
            )
        return None
    if not vllm.recognises(document):
        return None
    return Opened(open_arrow(vllm.table(document, name), name), "vLLM benchmark results", "s",
                  failed="failed", notes=(vllm.NOTE,))  # fmt: skip


def _lines(path: Path, name: str) -> Iterator[bytes]:
    try:
        with _unpacked(path) as stream:
            yield from stream
    except (OSError, EOFError) as error:
        raise broken(name, error) from error


def check_packed(path: Path, name: str) -> None:
    """A packed file that was cut off reads as a shorter file; unpacking it all tells."""
    if path.suffix.lower() not in PACKED:
        return
    try:
        with _unpacked(path) as packed:
            while packed.read(1 << 20):
                pass
    except (OSError, EOFError) as error:
        raise broken(name, error) from error


def broken(name: str, error: Exception) -> CollectError:
    text = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return CollectError(
        f"{name} cannot be read ({text}): is the file complete? Make or fetch it again"
    )
