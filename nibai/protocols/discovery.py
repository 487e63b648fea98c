"""Seam of change discovery: what serves an endpoint, and what changed since it was last seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from nibai.model import Change, Window

TAKEN_BACK = "taken_back"


@dataclass(frozen=True, slots=True)
class Deployment:
    """What served an endpoint (`provider/scope/name`) while it was seen; kept for ever.

    `fingerprint` stands for everything but capacity. `document` is the discoverer's own plain JSON.
    `underway`: what is known of a deployment that has begun and is not over (empty: none). `notes`
    are what was said when it was first seen. TAKEN_BACK in a document (two times) tells from when
    to when a deployment ran that did not stay.
    """

    endpoint: str
    fingerprint: str
    first_seen: float
    last_seen: float
    document: Mapping[str, Any]
    underway: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def taken_back(self) -> Window | None:
        """The stretch of a deployment that did not stay before this one was seen."""
        found = self.document.get(TAKEN_BACK)
        return None if found is None else Window(float(found[0]), float(found[1]))


@dataclass(frozen=True, slots=True)
class Later:
    """A figure of the provider's own that was measured from `started` on: evidence of a change.

    Of the last one before it; where it compares with an earlier figure, of one that began after
    `compared_since`. `unit` names the part of the endpoint that it is about (empty: all of it).
    """

    started: float
    text: str
    unit: str = ""
    compared_since: float | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one look says about one endpoint.

    `changes` lack an id and the time of declaring; their sentences are those that the provider
    itself promised. `past` are states that served earlier and were found in a log of the provider.
    `instances` counts what runs right now, by variant. `later` may have been told before.
    """

    deployment: Deployment
    changes: Sequence[Change] = ()
    notes: Sequence[str] = ()
    past: Sequence[Deployment] = ()
    instances: Mapping[str, float] = field(default_factory=dict)
    later: Sequence[Later] = ()


@runtime_checkable
class Discoverer(Protocol):
    """Looks at endpoints and remembers nothing (entry point group `nibai.discoverers`)."""

    def discover(
        self, known: Mapping[str, Deployment], *, since: float | None = None
    ) -> Iterable[Sighting]:
        """One look; `known` is the last deployment of every endpoint, `since` how far back to ask.

        What cannot be read is left out and named by `problems`. Raises CollectError when nothing
        can be.
        """
        ...

    @property
    def problems(self) -> Sequence[str]:
        """What the last look could not read, with the remedy."""
        ...

    def settle(self) -> None:
        """All sightings of the last look are durable: messages about them may be forgotten."""
        ...


@dataclass(frozen=True, slots=True)
class Survey:
    """What is found of one endpoint before anything is configured.

    `variants` and `shadows` are their names with what they run on,
    `metrics` what is published of it, `capture` where answers are captured and which share of
    requests in percent.
    """

    account: str
    region: str
    name: str
    variants: Mapping[str, str]
    shadows: Mapping[str, str]
    components: Sequence[str]
    metrics: Sequence[str]
    capture: tuple[str, float] | None = None
    notes: Sequence[str] = ()


@runtime_checkable
class Surveyor(Protocol):
    """Finds out about an endpoint by its name (entry point group `nibai.surveyors`)."""

    def survey(self, name: str) -> Survey:
        """Everything that a configuration needs; UsageError when there is no such endpoint."""
        ...
