"""What a source sent and nobody could use, described for whoever looks; never the content."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from nibai.errors import StoreError

MAX_BYTES = 1 << 20
"""A full file is put aside under the name `.1`; there are never more than two."""


def set_aside(folder: Path, source: str, rejected: Iterable[Mapping[str, object]]) -> None:
    """Append one line each to `quarantine/SOURCE.jsonl` of a data folder."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rejected]
    if not lines:
        return
    path = folder / "quarantine" / f"{source}.jsonl"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > MAX_BYTES:
            path.replace(path.with_name(path.name + ".1"))
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(lines)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror}): check space and permissions"
        ) from error
