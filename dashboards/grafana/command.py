"""What `nibai dashboards` does; each function answers with the lines to print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dashboards.grafana import build as files
from nibai.errors import UsageError


def build(output: Path | None, *, check: bool) -> list[str]:
    """Write the files from the code, or with `check` raise UsageError when one differs."""
    folder = output or files.FOLDER
    if check:
        differing = files.differing(folder)
        if differing:
            raise UsageError(
                f"{', '.join(differing)} in {folder}: not what the code makes; "
                "run nibai dashboards build"
            )
        return [f"{len(files.DEFINITIONS)} dashboards are what the code makes"]
    changed = [f"wrote {path}" for path in files.write(folder)]
    return changed or [f"{len(files.DEFINITIONS)} dashboards were current"]


def check(paths: Sequence[Path]) -> list[str]:
    """Judge the installed dashboards or other files; UsageError names every problem."""
    try:
        from dashboards.grafana import lint  # noqa: PLC0415 - promql-parser, for developers
    except ImportError as error:
        raise UsageError(
            "checking dashboards needs promql-parser, which is not installed: "
            "pip install promql-parser"
        ) from error
    texts = {path.name: _text(path) for path in paths} or files.committed()
    found = lint.problems(texts, whole=not paths)
    if found:
        raise UsageError("\n".join(["dashboards have problems", *map(str, found)]))
    return [f"{len(texts)} dashboards, {len(lint.RULES) + 1} rules: nothing wrong"]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}): check the path") from error
