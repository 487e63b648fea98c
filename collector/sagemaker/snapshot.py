"""What serves an endpoint, as a value: units (variants, inference components) and their facts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """How a unit takes part in traffic."""

    PRODUCTION = "production"
    SHADOW = "shadow"
    COMPONENT = "component"


@dataclass(frozen=True, slots=True)
class Unit:
    """A variant, or an inference component (`ic:NAME`), as it was configured.

    `facts` is what may make it faster or change its answers, `capacity` how much of it there is,
    `names` what it is called at AWS, which by itself means nothing. `modified` is its own time of
    the last change, where it has one (components), seconds since the epoch.
    """

    name: str
    role: Role
    facts: Mapping[str, str]
    capacity: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    modified: float | None = None

    @property
    def weight(self) -> float:
        """Its share of traffic beside other variants."""
        initial = self.capacity.get("config.InitialVariantWeight", "0")
        return float(self.capacity.get("live.DesiredWeight", initial))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One endpoint at one time.

    `context` holds what all units share and does not serve (data capture, metrics). `unread` names
    the parts of facts (the first word of a path) that could not be read.
    """

    name: str
    status: str
    config: str
    modified: float
    units: tuple[Unit, ...]
    context: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    created: float | None = None
    account: str = ""

    @property
    def fingerprint(self) -> str:
        """Equal for equal service: everything but capacity, names and times.

        >>> one = Snapshot("chat", "InService", "c1", 0.0, (Unit("blue", Role.PRODUCTION, {}),))
        >>> one.fingerprint[:15]
        'sha256:665799e8'
        """
        kept = {
            "units": [[unit.name, unit.role.value, dict(unit.facts)] for unit in self.units],
            "context": dict(self.context),
        }
        canonical = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"

    def unit(self, name: str) -> Unit | None:
        """The unit of a name."""
        return next((unit for unit in self.units if unit.name == name), None)


def to_document(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as plain JSON."""
    return dict(json.loads(json.dumps(asdict(snapshot))))


def from_document(document: Mapping[str, Any]) -> Snapshot:
    """The snapshot of a document; what another version wrote beside it is left alone."""
    units = tuple(
        Unit(**{**_known(Unit, unit), "role": Role(unit["role"])}) for unit in document["units"]
    )
    unread = tuple(document["unread"])
    return Snapshot(**{**_known(Snapshot, document), "units": units, "unread": unread})


def _known(kind: type[Unit | Snapshot], document: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {key: value for key, value in document.items() if key in names}
