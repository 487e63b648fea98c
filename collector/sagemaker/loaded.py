"""Which weights instances have loaded: an object that is overwritten serves from the next start on.

SageMaker copies a model when an instance starts. So other contents behind an address are no change
before the endpoint (or the component) was modified; until then they are told once. A deployment
that was taken back modifies an endpoint, too, while its old fleet runs on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from collector.sagemaker.artifacts import MODELS, PART
from collector.sagemaker.snapshot import Snapshot, Unit

OVERWRITTEN = "overwritten"
"""In what is kept of an endpoint's looks: contents that no instance is known to have loaded."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A snapshot with the contents that were loaded, and those that lie ready, by unit and path."""

    snapshot: Snapshot
    waiting: Mapping[str, str]


def loaded(before: Snapshot, after: Snapshot, *, stayed: bool = True) -> Loaded:
    """What serves, as far as it can be known; not `stayed`: the old fleet went on serving."""
    waiting: dict[str, str] = {}
    units = []
    for unit in after.units:
        earlier = before.unit(unit.name)
        if earlier is None or _started_since(before, after, earlier, unit, stayed=stayed):
            units.append(unit)
            continue
        kept = {
            path: earlier.facts[path]
            for path, value in unit.facts.items()
            if _contents(path) and earlier.facts.get(path, value) != value
        }
        waiting |= {f"{unit.name} {path}": unit.facts[path] for path in kept}
        units.append(replace(unit, facts={**unit.facts, **kept}))
    return Loaded(replace(after, units=tuple(units)), waiting)


def told(waiting: Mapping[str, str], known: Mapping[str, str]) -> tuple[str, ...]:
    """What is said of contents that nobody was told of."""
    return tuple(
        f"{path.replace(f' {PART}.', ': what lies at ')} was overwritten ({value}): instances "
        "that start from now on serve it, those that run do not"
        for path, value in waiting.items()
        if known.get(path) != value
    )


def _started_since(
    before: Snapshot, after: Snapshot, earlier: Unit, unit: Unit, *, stayed: bool
) -> bool:
    """Whether instances may have started: anything was deployed, scaled or made again."""
    modified = stayed and after.modified > before.modified
    return modified or (unit.modified or 0.0) > (earlier.modified or 0.0)


def _contents(path: str) -> bool:
    """Whether a fact is what an instance copies when it starts.

    A multi-model endpoint loads single models whenever they are asked for.
    """
    return path.startswith(f"{PART}.") and MODELS not in path and not path.endswith(".listed")
