"""Two snapshots of an endpoint compared: which unit follows which, and what of it is different."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from collector.sagemaker.artifacts import LISTED, MODELS, PART
from collector.sagemaker.kinds import kind_of
from collector.sagemaker.snapshot import Role, Snapshot, Unit
from nibai.model import ChangeKind


@dataclass(frozen=True, slots=True)
class Moved:
    """One fact before and after; None where it is not there."""

    path: str
    before: str | None
    after: str | None
    kind: ChangeKind | None

    def __str__(self) -> str:
        """The fact in words: `config.InstanceType ml.g5.xlarge -> ml.g6.xlarge`."""
        return f"{self.path} {self.before or '(none)'} -> {self.after or '(none)'}"


@dataclass(frozen=True, slots=True)
class Step:
    """A unit and what follows it, or what runs beside it (`side_by_side`).

    `further` are kinds that no fact shows, known from the job that made the model.
    """

    before: Unit
    after: Unit
    moved: tuple[Moved, ...]
    covariates: tuple[Moved, ...]
    side_by_side: bool = False
    further: tuple[ChangeKind, ...] = ()

    @property
    def kinds(self) -> tuple[ChangeKind, ...]:
        """Kinds of the facts that moved, each once, in the order of the vocabulary."""
        found = {one.kind for one in self.moved} | set(self.further)
        return tuple(kind for kind in ChangeKind if kind in found)


def steps(before: Snapshot, after: Snapshot) -> list[Step]:
    """Every pair of units with a difference, capacity included."""
    unread = frozenset(before.unread) | frozenset(after.unread)
    found = [
        _step(one, other, unread, side_by_side=beside)
        for one, other, beside in _pairs(before, after)
    ]
    return [step for step in found if step.moved or step.covariates]


def context_moved(before: Snapshot, after: Snapshot) -> list[Moved]:
    """What all units share and is different."""
    return _moved(before.context, after.context)


def _pairs(before: Snapshot, after: Snapshot) -> Iterable[tuple[Unit, Unit, bool]]:
    both = [(unit, after.unit(unit.name)) for unit in before.units]
    yield from ((one, other, False) for one, other in both if other is not None)
    gone = [one for one, other in both if other is None]
    new = [unit for unit in after.units if before.unit(unit.name) is None]
    for unit in new:
        leaving = [one for one in gone if _alike(one, unit)]
        coming = [one for one in new if _alike(one, unit)]
        if unit.role is not Role.SHADOW and len(leaving) == len(coming) == 1:
            yield leaving[0], unit, False
        elif unit.role is not Role.COMPONENT and (main := _main(after, unit, new)) is not None:
            yield main, unit, True


def _alike(one: Unit, other: Unit) -> bool:
    """Whether one may have taken the place of the other."""
    same_variant = one.names.get("variant") == other.names.get("variant")
    return one.role is other.role and (one.role is not Role.COMPONENT or same_variant)


def _main(after: Snapshot, unit: Unit, new: Iterable[Unit]) -> Unit | None:
    """The production variant with most traffic that was there before."""
    there = [
        one
        for one in after.units
        if one.role is Role.PRODUCTION and one is not unit and one not in new
    ]
    return max(there, key=lambda one: one.weight, default=None)


def _step(before: Unit, after: Unit, unread: frozenset[str], *, side_by_side: bool) -> Step:
    moved = [one for one in _moved(before.facts, after.facts) if _part(one.path) not in unread]
    listed = {path.removesuffix(LISTED) for path in before.facts if path.endswith(LISTED)}
    moved = [one for one in (_as_artifact(one, listed) for one in moved) if one is not None]
    if "image" in unread:
        # Without digests the tag is all that is known of a container.
        moved = [_as_container(one) if _part(one.path) == "image_tag" else one for one in moved]
    if any(one.path == "config.InstanceType" and None in (one.before, one.after) for one in moved):
        # From serverless to instances or back: the memory is part of that.
        moved = [one for one in moved if one.kind is not ChangeKind.SERVERLESS_MEMORY]
    if "component.BaseInferenceComponentName" in after.facts:
        moved = [_as_adapter(one) if one.kind is ChangeKind.WEIGHTS else one for one in moved]
    others = [one for one in moved if one.kind is None]
    capacity = _moved(before.capacity, after.capacity)
    kinds = tuple(one for one in moved if one.kind is not None)
    return Step(before, after, kinds, (*others, *capacity), side_by_side)


def _as_artifact(one: Moved, listed: Collection[str]) -> Moved | None:
    """What lies behind an address: it tells nothing where it was not known before.

    Models that come to a multi-model folder (one of those `listed` before) or go are no
    optimization; another one under the same name is.
    """
    if _part(one.path) != PART or None not in {one.before, one.after}:
        return one
    return replace(one, kind=None) if one.path.partition(MODELS)[0] in listed else None


def _as_container(one: Moved) -> Moved:
    return Moved(one.path, one.before, one.after, ChangeKind.CONTAINER)


def _as_adapter(one: Moved) -> Moved:
    return Moved(one.path, one.before, one.after, ChangeKind.ADAPTER)


def _moved(before: Mapping[str, str], after: Mapping[str, str]) -> list[Moved]:
    return [
        Moved(path, before.get(path), after.get(path), kind_of(path))
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]


def _part(path: str) -> str:
    """The first word of a path: what was asked to know the fact."""
    return path.partition(".")[0].partition("[")[0]
