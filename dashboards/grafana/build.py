"""The dashboards' files: made from code, committed, compared."""

from __future__ import annotations

import importlib
from pathlib import Path

from nibai.errors import UsageError

FOLDER = Path(__file__).parents[1] / "json"
DEFINITIONS = ("fleet", "change_audit", "drift")
BUILDER = "grafana-foundation-sdk~=0.0.21"


def texts() -> dict[str, str]:
    """Every file as the code makes it, by name; UsageError without the builder."""
    try:
        importlib.import_module("dashboards.grafana.sdk")
    except ImportError as error:
        raise UsageError(
            f"building dashboards needs {BUILDER}, which is not installed: "
            f"pip install '{BUILDER}'; the finished files are in {FOLDER}"
        ) from error
    layout = importlib.import_module("dashboards.grafana.layout")
    return {
        f"{name}.json": layout.written(
            importlib.import_module(f"dashboards.grafana.{name}").build()
        )
        for name in DEFINITIONS
    }


def write(folder: Path) -> list[Path]:
    """Write all files; those that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, text in texts().items():
        if _read(folder / name) != text:
            (folder / name).write_text(text, encoding="utf-8")
            changed.append(folder / name)
    return changed


def differing(folder: Path) -> list[str]:
    """Names of files that are not what the code makes, or that no code makes."""
    made = texts()
    extra = {path.name for path in folder.glob("*.json")} - {*made}
    return sorted(extra | {name for name, text in made.items() if _read(folder / name) != text})


def committed(folder: Path = FOLDER) -> dict[str, str]:
    """The finished files by name; no builder is needed."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.json"))}


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
