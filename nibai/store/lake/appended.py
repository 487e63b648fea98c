"""Files that collectors appended to a table since a version: rows that nobody has seen yet.

Every commit of a collector carries its number (a Delta application transaction), those of the
maintainer do not: what is compacted, rolled up or deleted adds no rows, and is passed over.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from nibai.store.lake.delta import Lake


def appended(lake: Lake, table: str, after: int | None) -> tuple[int | None, list[str]]:
    """(newest version, files appended after a version); no file for `after` None.

    (None, []) before the first commit. Commits whose log entry is gone are passed over.
    """
    found = lake.open(table)
    if found is None:
        return None, []
    newest = int(found.version())
    if after is None:
        return newest, []
    home = Path(lake.path(table))
    files: list[str] = []
    for version in range(after + 1, newest + 1):
        files += [str(home / name) for name in _added(home, version)]
    return newest, [file for file in files if Path(file).exists()]


def _added(home: Path, version: int) -> list[str]:
    """Names of the files that a collector's commit added."""
    try:
        text = (home / "_delta_log" / f"{version:020d}.json").read_text(encoding="utf-8")
    except OSError:
        return []
    actions: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines() if line]
    if not any("txn" in action for action in actions):
        return []
    return [unquote(action["add"]["path"]) for action in actions if "add" in action]
