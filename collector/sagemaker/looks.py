"""One look compared with the last: what is underway, what is settled, what is worth a note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from collector.sagemaker.describe import AT_REST, Described
from collector.sagemaker.diff import context_moved, steps
from collector.sagemaker.signals import Signal
from collector.sagemaker.snapshot import Snapshot
from nibai.protocols import Deployment

DELETED = "Deleted"


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
    return {
        **({"start": min(starts)} if starts else {}),
        "config": str(pending.get("EndpointConfigName") or earlier.underway.get("config", "")),
        "statuses": list(dict.fromkeys([*known, described.snapshot.status, *statuses])),
        "signals": [signal.document for signal in signals],
    }


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
    if (config := earlier.underway.get("config")) and not changed and config != after.config:
        said.append(f"the deployment of {config} did not stay: {before.config} serves on")
    return tuple(said)


def first_words(described: Described) -> str:
    """What is said of an endpoint at first sight."""
    units = ", ".join(f"{unit.name} ({unit.role.value})" for unit in described.snapshot.units)
    return f"seen for the first time: {units or 'no variant'}; changes are told from here on"
