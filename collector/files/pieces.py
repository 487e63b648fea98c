"""Both sides of one file: cut at a time, or by the values of a column."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

from collector.files.counting import Piece
from nibai.errors import UsageError
from nibai.protocols import FileRequest

ROLES = ("baseline", "candidate")
MOST_LISTED = 10
FIRST_EPOCH = 1e8

PAST = 2
"""Role of files that hold the unchanged past."""


def cut(pieces: list[Piece], request: FileRequest) -> list[Piece]:
    """Both sides of one source: by time (--at) or by a column's two values (--split)."""
    if request.at is not None:
        return [half for piece in pieces for half in _halves(piece, request.at)]
    if not request.split:
        return pieces
    name, _, wanted = request.split.partition("=")
    present = list(dict.fromkeys(piece.span.side for piece in pieces))
    chosen = wanted.split(",") if wanted else present
    if len(chosen) != len(ROLES) or not set(chosen) <= set(present):
        raise UsageError(
            f"--split {name} needs two values, the column holds {_listed(present)}: "
            f"pick two (--split {name}=BASELINE,CANDIDATE)"
        )
    return [
        replace(piece, role=role)
        for role, value in enumerate(chosen)
        for piece in pieces
        if piece.span.side == value
    ]


def _listed(values: list[str]) -> str:
    shown = ", ".join(map(repr, values[:MOST_LISTED]))
    left = len(values) - MOST_LISTED
    return f"{shown} and {left:,} more" if left > 0 else shown


def _moment(seconds: float) -> str:
    """As people write it; seconds that do not count from 1970 stay seconds."""
    if seconds < FIRST_EPOCH:
        return f"{seconds:.3f}"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _halves(piece: Piece, at: float) -> list[Piece]:
    start, end = piece.span.start, piece.span.end
    if start is None or end is None:
        raise UsageError(f"{piece.name}: --at cuts by time, and there is no time column")
    if not start < at < end:
        raise UsageError(
            f"{piece.name}: --at must lie inside the file's time span: "
            f"{_moment(start)} to {_moment(end)}"
        )
    # A request at the very moment of the cut is one of the candidate's, and of nobody else's.
    before = replace(piece, span=replace(piece.span, end=math.nextafter(at, start)))
    after = replace(piece, role=1, span=replace(piece.span, start=at))
    return [before, after]
