"""What tells that a deployment began or ended, from wherever it was heard; and when traffic moved.

Source: nibai's aws.md, sections 8 and 9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

SLACK_SECONDS = 120.0
"""Clocks of several services, and messages that come late."""


KNOWN_END = "end is the endpoint's last change"


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing heard about an endpoint (or one of its components), seconds since the epoch.

    `begins`: a deployment was asked for or runs; otherwise it may be over.
    """

    endpoint: str
    at: float
    source: str
    text: str
    component: str = ""
    begins: bool = False

    @property
    def document(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Dated:
    """From when on traffic was moving, when it had moved, and how that is known."""

    started: float
    shifted: float
    how: str


def dated(
    last_seen: float,
    modified: float,
    *,
    pending_since: float | None,
    created: float | None,
    signals: Sequence[Signal],
    end: str = KNOWN_END,
) -> Dated:
    """When a deployment began and was over.

    It began when AWS or a signal says so. Else only bounds are known: after the endpoint was last
    seen at rest and after its configuration was created; the later of them leaves out too much
    rather than too little.
    """
    window = (last_seen - SLACK_SECONDS, modified + SLACK_SECONDS)
    inside = [s for s in signals if s.begins and window[0] <= s.at <= window[1]]
    exact = [s.at for s in inside] + ([] if pending_since is None else [pending_since])
    if exact:
        started = min(exact)
        names = {s.source for s in inside} | ({"SageMaker"} if pending_since is not None else set())
        how = f"start told by {', '.join(sorted(names))}"
    else:
        made = created if created is not None and created <= modified else None
        started = max(last_seen, last_seen if made is None else made)
        how = "start known only as after it was last seen unchanged"
    return Dated(min(started, modified), modified, f"{how}; {end}")


def about(signals: Iterable[Signal], component: str) -> list[Signal]:
    """Signals of an endpoint's own deployments, or of one component's, the oldest first."""
    return sorted((s for s in signals if s.component == component), key=lambda s: s.at)


def from_documents(documents: Iterable[Mapping[str, Any]]) -> list[Signal]:
    """Signals that were kept while a deployment was underway."""
    return [Signal(**document) for document in documents]


def joined(*many: Iterable[Signal]) -> list[Signal]:
    """All of them, each once: several messages of one step are normal."""
    return sorted({signal for some in many for signal in some}, key=lambda s: (s.at, s.text))
