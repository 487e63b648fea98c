"""One look compared with the last: what is underway, what is settled, what is worth a note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from collector.sagemaker.describe import AT_REST, Described
from collector.sagemaker.diff import context_moved, steps
from collector.sagemaker.facts import text
from collector.sagemaker.signals import Signal
from collector.sagemaker.snapshot import Snapshot
from nibai.document import iso
from nibai.protocols import Deployment

DELETED = "Deleted"
FAILED = "Failed"
GIVEN_UP = frozenset({FAILED, "OutOfService", "UpdateRollbackFailed", "Deleting"})
"""Statuses in which nothing is being deployed any more."""

FAILED_COMPONENTS = "failed"
COMPONENTS = "components"
"""In what is kept of deployments underway: those of single inference components."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An endpoint at rest, what it was when it was last seen, and what was heard since."""

    earlier: Deployment
    before: Snapshot
    after: Snapshot
    signals: Sequence[Signal]


def underway(
    described: Described, earlier: Deployment, signals: Sequence[Signal]
) -> dict[str, Any]:
    """What is known of a deployment in progress, added up over the looks at it."""
    pending = described.pending
    started = pending["StartTime"].timestamp() if "StartTime" in pending else None
    starts = [s for s in (earlier.underway.get("start"), started) if s is not None]
    statuses = [
        f"{variant['VariantName']} {one['Status']}"
        for variant in pending.get("ProductionVariants", ())
        for one in variant.get("VariantStatus", ())
    ]
    known = earlier.underway.get("statuses", [])
    components = earlier.underway.get(COMPONENTS)
    return {
        # A component that was being updated before: when it was last seen unchanged stays known.
        **({COMPONENTS: components} if components else {}),
        **({"start": min(starts)} if starts else {}),
        "config": str(pending.get("EndpointConfigName") or earlier.underway.get("config", "")),
        "statuses": list(dict.fromkeys([*known, described.snapshot.status, *statuses])),
        "signals": [signal.document for signal in signals],
    }


def components_underway(
    described: Described, earlier: Deployment, now: float
) -> dict[str, list[float]]:
    """Components that are being updated: when each was last seen unchanged, and when underway."""
    return {
        unit.name: [update_of(earlier, unit.name)[0], now]
        for unit in described.snapshot.units
        if unit.names.get("status", AT_REST) not in {AT_REST, FAILED}
    }


def components_failed(described: Described) -> list[str]:
    """Components that AWS gave up: nothing is underway, and nothing new serves."""
    return [u.name for u in described.snapshot.units if u.names.get("status") == FAILED]


def update_of(earlier: Deployment, unit: str) -> tuple[float, float]:
    """When a unit was last seen before its update, and last seen underway (0: never)."""
    since, seen = earlier.underway.get(COMPONENTS, {}).get(unit, (earlier.last_seen, 0.0))
    return float(since), float(seen)


def underway_words(now: Deployment, earlier: Deployment) -> tuple[str, ...]:
    """What is told of a deployment in progress, each of its steps once."""
    known = earlier.underway.get("statuses", ())
    new = [one for one in now.underway["statuses"] if one not in known]
    going = [text(one) for one in new if one not in GIVEN_UP]
    over = [text(one) for one in new if one in GIVEN_UP]
    config = f" of {text(now.underway['config'])}" if now.underway["config"] else ""
    said = [f"a deployment{config} is underway: {', '.join(going)}"] if going else []
    return (*said, *(f"is {one}: changes are told when it is InService again" for one in over))


def taken_back(seen: Seen) -> tuple[float, float] | None:
    """From when to when a deployment ran that did not stay; None where none was seen.

    Its minutes are no optimization's, and nobody's "before" either: two fleets answered.
    """
    underway = seen.earlier.underway
    if underway.get("config") in {None, "", seen.after.config}:
        return None
    started = underway.get("start", seen.earlier.last_seen)
    return (min(started, seen.after.modified), seen.after.modified)


def settled(before: Snapshot, after: Snapshot) -> Snapshot:
    """A snapshot in which what is being updated, or cannot be read now, is what it was before."""
    units = []
    for unit in after.units:
        earlier = before.unit(unit.name)
        if earlier is None:
            units.append(unit)
        elif unit.names.get("status", AT_REST) != AT_REST:
            units.append(earlier)
        else:
            lost = {
                path: value
                for path, value in earlier.facts.items()
                if path.partition(".")[0].partition("[")[0] in after.unread
            }
            units.append(replace(unit, facts={**lost, **unit.facts}) if lost else unit)
    still = tuple(part for part in after.unread if part in before.unread)
    return replace(after, units=tuple(units), unread=still)


def notes(seen: Seen, *, changed: bool) -> tuple[str, ...]:
    """What is no optimization but may matter to whoever reads the figures."""
    before, after, earlier = seen.before, seen.after, seen.earlier
    said = []
    for step in steps(before, after):
        if not step.moved and not step.side_by_side:
            said += [f"{step.after.name}: {one} (a covariate)" for one in step.covariates]
    said += [f"{one} (a covariate)" for one in context_moved(before, after)]
    if before.status == DELETED:
        said.append("was made again after it had been deleted")
    if not changed and (ran := taken_back(seen)) is not None:
        config = text(earlier.underway["config"])
        said.append(
            f"the deployment of {config} did not stay, {before.config} serves on: its minutes "
            f"({iso(ran[0])} to {iso(ran[1])}) belong to no side of an audit"
        )
    return tuple(said)


def first_words(described: Described) -> str:
    """What is said of an endpoint at first sight."""
    units = ", ".join(f"{unit.name} ({unit.role.value})" for unit in described.snapshot.units)
    return f"seen for the first time: {units or 'no variant'}; changes are told from here on"
