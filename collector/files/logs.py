"""Files that are parts of one log: a run cut into files is one run, however many files it fills.

Runs are what a tail is settled by. A log that a program began anew every hour, or a folder of part
files, would pass for many of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from collector.files.counting import Piece
from nibai.model import Window

MOST_GAPS = 10.0
"""Files whose rows follow each other within this many mean gaps between rows are one log.

Requests at random moments: of 24 files of a day one boundary in 2,000 is wider.
"""


def follows(earlier: Window, later: Window, rows: int, gaps: float) -> bool:
    """Whether a window begins where another ends, up to some mean gaps between their rows."""
    pace = (earlier.seconds + later.seconds) / max(rows, 1)
    return 0 <= later.start - earlier.end <= gaps * pace


def joined(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces, those of a side's one log with the window of the whole log."""
    found = list(pieces)
    for role in {piece.role for piece in pieces}:
        at = sorted(
            (i for i, piece in enumerate(pieces) if piece.role == role and piece.window),
            key=lambda i: pieces[i].span.start or 0.0,
        )
        if len(at) < 2 or not _one_log([pieces[i] for i in at]):  # noqa: PLR2004 - parts
            continue
        first, last = pieces[at[0]].window, pieces[at[-1]].window
        assert first is not None and last is not None  # noqa: S101, PT018 - for the type checker
        whole = Window(first.start, last.end)
        for i in at:
            found[i] = replace(pieces[i], whole=whole)
    return found


def _one_log(pieces: Sequence[Piece]) -> bool:
    if len({piece.opened.table.name for piece in pieces}) < len(pieces):
        return False  # replicas inside one file
    return all(
        one.window is not None
        and two.window is not None
        and follows(one.window, two.window, one.span.rows + two.span.rows, MOST_GAPS)
        for one, two in pairwise(pieces)
    )
