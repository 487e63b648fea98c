"""Captured requests from files: JSON Lines, SageMaker Data Capture, CSV, Parquet; or "-".

A row that cannot be sent is counted under its reason and sampled; it never stops the reading.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Mapping

from collector.inputs import expand
from collector.replay.files import read_rows
from collector.replay.rows import BINARY, ROLES, RejectedError, Row, convert
from nibai.errors import UsageError
from nibai.protocols import CaptureReader, CaptureRequest, Captures, ReplayInput

MAX_REJECTED = 1000
EXCERPT_CHARACTERS = 200


def build(options: Mapping[str, object]) -> CaptureReader:
    """The reader; it has no options."""
    del options
    return CapturesReader()


class CapturesReader:
    """Reads inputs, each id and each input once, at most as many as asked for."""

    def read(self, request: CaptureRequest) -> Captures:
        """See `nibai.protocols.CaptureReader`."""
        unknown = sorted(set(request.columns) - set(ROLES))
        if unknown:
            raise UsageError(
                f"--columns {unknown[0]}=…: there is no such role; there are {', '.join(ROLES)}"
            )
        keeping = _Keeping(request)
        if not isinstance(request.source, str):
            for number, item in enumerate(request.source, 1):
                keeping.add(convert(item, request.columns, number))
            return keeping.captures("the inputs", "given")
        formats: dict[str, None] = {}
        for source in expand((request.source,)):
            assert isinstance(source, str)  # noqa: S101 - for the type checker
            form, rows = read_rows(source, request.columns)
            formats[form] = None
            for row in rows:
                keeping.add(row)
        name = "standard input" if request.source == "-" else request.source
        return keeping.captures(name, ", ".join(formats))


class _Keeping:
    """Takes rows one by one; keeps a uniform sample of the distinct ones."""

    def __init__(self, request: CaptureRequest) -> None:
        self._request = request
        self._dice = random.Random(request.seed)  # noqa: S311 - a reproducible sample
        self._kept: list[ReplayInput] = []
        self._ids: set[str] = set()
        self._hashes: set[str] = set()
        self._reasons: Counter[str] = Counter()
        self._rejected: list[Mapping[str, object]] = []
        self._distinct = 0
        self._repeats = 0
        self._rows = 0

    def add(self, row: Row) -> None:
        self._rows += 1
        found = row.found
        if isinstance(found, RejectedError):
            self._reject(row, str(found))
        elif isinstance(found.payload, bytes) and not self._request.binary:
            self._reject(row, BINARY)
        elif found.request_id in self._ids:
            self._reject(row, "duplicate id")
        elif found.input_hash in self._hashes and not self._request.repeated:
            self._repeats += 1
        else:
            self._ids.add(found.request_id)
            self._hashes.add(found.input_hash)
            self._keep(found)

    def captures(self, name: str, form: str) -> Captures:
        if not self._kept:
            raise UsageError(f"{name}: {self._nothing()}")
        digest = hashlib.blake2b(digest_size=16)
        for one in self._kept:
            digest.update(f"{one.request_id}\0{one.input_hash}\0".encode("utf-8", "replace"))
        return Captures(
            name=name,
            format=form,
            inputs=tuple(self._kept),
            rows=self._rows,
            digest=digest.hexdigest(),
            repeats=self._repeats,
            quarantined=dict(self._reasons),
            rejected=tuple(self._rejected),
        )

    def _keep(self, found: ReplayInput) -> None:
        self._distinct += 1
        if self._request.sample is None or len(self._kept) < self._request.sample:
            self._kept.append(found)
            return
        place = self._dice.randrange(self._distinct)
        if place < self._request.sample:
            self._kept[place] = found

    def _reject(self, row: Row, reason: str) -> None:
        self._reasons[reason] += 1
        if len(self._rejected) < MAX_REJECTED:
            text = row.start.decode("utf-8", "backslashreplace")[:EXCERPT_CHARACTERS]
            self._rejected.append(
                {"line": row.number, "reason": reason, "bytes": row.size, "start": text}
            )

    def _nothing(self) -> str:
        if not self._rows:
            return "holds no rows: give captured requests, one a line"
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self._reasons.most_common())
        return (
            f"none of {self._rows:,} rows is an input that can be sent ({reasons}): is it the "
            "right file? Name its columns with --columns input=COLUMN"
        )
