"""Both sides of one file: cut at a time, or by the values of a column."""

from __future__ import annotations

from dataclasses import replace

from collector.files.counting import Piece
from nibai.errors import UsageError
from nibai.protocols import FileRequest

ROLES = ("baseline", "candidate")


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
            f"--split {name} needs two values, the column holds {', '.join(map(repr, present))}: "
            f"pick two (--split {name}=BASELINE,CANDIDATE)"
        )
    return [
        replace(piece, role=role)
        for role, value in enumerate(chosen)
        for piece in pieces
        if piece.span.side == value
    ]


def _halves(piece: Piece, at: float) -> list[Piece]:
    start, end = piece.span.start, piece.span.end
    if start is None or end is None or not start < at < end:
        raise UsageError(
            f"{piece.name}: --at must lie inside the file's time span: "
            + (
                "it has no time column"
                if start is None
                else f"{start:.3f} to {end:.3f} (seconds since 1970)"
            )
        )
    before = replace(piece, span=replace(piece.span, end=at))
    after = replace(piece, role=1, span=replace(piece.span, start=at))
    return [before, after]
