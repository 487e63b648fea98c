"""Plug-ins: modules found through entry points, built-ins and third parties alike.

A plug-in is a module that exports `build(options) -> protocol object`. The core never imports the
outer packages by name; this is the only way in.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from nibai.errors import PluginError

GROUPS = (
    "nibai.collectors",
    "nibai.listeners",
    "nibai.discoverers",
    "nibai.examiners",
    "nibai.surveyors",
    "nibai.price_lists",
    "nibai.readers",
    "nibai.targets",
    "nibai.prediction_readers",
    "nibai.analyzers",
    "nibai.scanners",
    "nibai.rules",
    "nibai.notifiers",
    "nibai.annotators",
    "nibai.renderers",
    "nibai.pictures",
    "nibai.pages",
    "nibai.artifacts",
    "nibai.dashboards",
    "nibai.commands",
)


@functools.cache
def registered(group: str) -> tuple[EntryPoint, ...]:
    """Entry points of a group, sorted by name.

    Looked for once per process: going through all installed packages takes 15 ms.
    """
    return tuple(sorted(entry_points(group=group), key=lambda entry: entry.name))


def load_module(group: str, name: str) -> ModuleType:
    """The module behind one entry point; PluginError says what is in the way."""
    found = [entry for entry in registered(group) if entry.name == name]
    if not found:
        known = ", ".join(entry.name for entry in registered(group)) or "none"
        raise PluginError(
            f"no plug-in {name!r} in {group} (installed: {known}): "
            "install the package that provides it, or reinstall nibai"
        )
    return _load(found[0])


def load(group: str, name: str, options: Mapping[str, object] | None = None) -> object:
    """What a plug-in's `build(options)` returns; PluginError when it has none."""
    module = load_module(group, name)
    build = getattr(module, "build", None)
    if not callable(build):
        raise PluginError(
            f"plug-in {name!r} ({module.__name__}) in {group} has no build(options) function"
        )
    result: object = build(options or {})
    return result


def load_all(group: str) -> dict[str, object]:
    """Every plug-in of a group, built without options, by name."""
    return {entry.name: load(group, entry.name) for entry in registered(group)}


def _load(entry: EntryPoint) -> ModuleType:
    try:
        module = entry.load()
    except (ImportError, AttributeError) as error:
        raise PluginError(
            f"plug-in {entry.name!r} ({entry.value}) does not load: {error}{_shadow(entry.module)}"
        ) from error
    if not isinstance(module, ModuleType):
        raise PluginError(f"plug-in {entry.name!r} must name a module, not {entry.value}")
    return module


def _shadow(module: str) -> str:
    # Our outer packages have plain names; a user's own folder of that name can hide them.
    package = module.partition(".")[0]
    loaded = sys.modules.get(package)
    where = getattr(loaded, "__file__", None)
    if where is None or Path(where).parent.parent == Path(__file__).parent.parent:
        return ""
    return f"; {where} hides the installed package {package!r}: rename it or run elsewhere"
