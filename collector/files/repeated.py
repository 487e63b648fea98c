"""The same run given twice on one side is one run: repetition is what settles a tail."""

from __future__ import annotations

import filecmp
from pathlib import Path

import pyarrow as pa


def drop_repeated(side: list[str | pa.Table]) -> list[str]:
    """Take sources out of a side whose bytes stand in an earlier one; a note for each."""
    kept: list[str | pa.Table] = []
    notes = []
    for source in side:
        first = next((one for one in kept if _same(one, source)), None)
        if first is None:
            kept.append(source)
        elif isinstance(source, str):
            what = "is given twice" if source == first else f"holds the same bytes as {first}"
            notes.append(f"{source} {what} on one side: it counts as one run")
        else:
            notes.append("the same table is given twice on one side: it counts as one run")
    side[:] = kept
    return notes


def _same(one: str | pa.Table, other: str | pa.Table) -> bool:
    if isinstance(one, pa.Table) or isinstance(other, pa.Table):
        return isinstance(one, pa.Table) and isinstance(other, pa.Table) and one.equals(other)
    if one == other:
        return True
    if not (Path(one).is_file() and Path(other).is_file()):
        return False  # standard input, or an address
    try:
        # Files of one size are rare: the bytes are read for them alone.
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False  # opening it will say why
