"""`nibai doctor`: what can be read, from where, and the exact fix for what cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nibai import plugins
from nibai.config import Config
from nibai.document import iso
from nibai.errors import PluginError
from nibai.protocols import Capability, Effort, Examiner
from nibai.store.state.capabilities import Known, put_capabilities
from nibai.store.state.database import open_state

SCHEMA = "nibai.doctor/1"


@dataclass(frozen=True, slots=True)
class Finding:
    """A capability, and what was known of it before."""

    capability: Capability
    before: Known | None


def examiners(
    config: Config, endpoint: str | None = None, save_fixtures: str | None = None
) -> list[Examiner]:
    """Every installed examiner, given the whole configuration."""
    options = {
        "config": config.model_dump(mode="json"),
        "endpoint": endpoint,
        "save_fixtures": save_fixtures,
    }
    found = []
    for entry in plugins.registered("nibai.examiners"):
        one = plugins.load("nibai.examiners", entry.name, options)
        if not isinstance(one, Examiner):
            raise PluginError(f"plug-in {entry.name!r} in nibai.examiners examines nothing")
        found.append(one)
    return found


def efforts(chosen: Sequence[Examiner]) -> list[Effort]:
    """What looking will take, before anything is asked."""
    return [effort for one in chosen for effort in one.effort() if effort.reads]


def examine(
    config: Config, chosen: Sequence[Examiner], clock: Callable[[], float]
) -> Iterator[Finding]:
    """Everything that is found out, stored with its date in the end."""
    found = [capability for one in chosen for capability in one.examine()]
    state = open_state(config.state_address)
    try:
        before = put_capabilities(state, found, clock())
    finally:
        state.close()
    for one in found:
        yield Finding(one, before.get((one.topic, one.name)))


def doctor_document(
    said: Sequence[Effort], found: Sequence[Finding], now: float
) -> Mapping[str, object]:
    """The whole examination as plain data."""
    return {
        "schema": SCHEMA,
        "at": iso(now),
        "effort": [
            {"topic": one.topic, "reads": one.reads, "dollars": round(one.dollars, 6)}
            for one in said
        ],
        "capabilities": [
            {
                "topic": one.capability.topic,
                "name": one.capability.name,
                "standing": one.capability.standing.value,
                "said": one.capability.said,
                "remedy": one.capability.remedy or None,
                "number": one.capability.number,
                "was": None if one.before is None else one.before.standing.value,
                "since": iso(since_of(one, now)),
            }
            for one in found
        ],
    }


def since_of(one: Finding, now: float) -> float:
    """Since when a capability stands as it does."""
    same = one.before is not None and one.before.standing is one.capability.standing
    return one.before.since if one.before is not None and same else now
