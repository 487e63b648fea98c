"""Latency-optimized inference and service tiers, as requests asked for them: when one took over.

Nothing else tells: these are fields of requests, not of a resource. Requests that ask for both side
by side are no change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from collector.bedrock.records import Asked
from nibai.model import Change, ChangeKind

ENOUGH = 20
"""Requests before a setting is believed to be more than a trial."""

OVERLAP_SECONDS = 120.0
"""The last requests of the old setting may end a little later than the first of the new began."""

_HEAD = "setting"
_PERFORMANCE, _TIER = "performance", "tier"


@dataclass(slots=True)
class _Seen:
    requests: int = 0
    first: float = float("inf")
    last: float = float("-inf")

    @property
    def often(self) -> bool:
        return self.requests >= ENOUGH


Place = tuple[str, str, str]
"""Endpoint, variant, and what is set."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What took over, and what rules now: `marks` to be kept, `finished` ones to be forgotten."""

    changes: tuple[Change, ...]
    marks: Mapping[str, float]
    finished: tuple[str, ...]


class Settings:
    """The settings that one reading meets, beside the ruling ones that `read_until` knows."""

    def __init__(self, read_until: Mapping[str, float]) -> None:
        self._known = {name: at for name, at in read_until.items() if name.startswith(_HEAD)}
        self._seen: dict[Place, dict[str, _Seen]] = {}

    def add(self, asked: Asked) -> None:
        """Count one request."""
        for what, value in ((_PERFORMANCE, asked.performance), (_TIER, asked.tier)):
            place = (asked.endpoint, asked.variant, what)
            seen = self._seen.setdefault(place, {}).setdefault(value, _Seen())
            seen.requests += 1
            seen.first = min(seen.first, asked.at)
            seen.last = max(seen.last, asked.at)

    def judged(self) -> Judged:
        """A setting takes over when it is met often and the ruling one not any more."""
        changes, marks, finished = [], {}, []
        for place, seen in sorted(self._seen.items()):
            ruling = self._ruling(place, seen)
            if ruling is None:
                continue
            value, last = ruling
            if value in seen:
                last = max(last, seen[value].last)
            later = {
                other: one
                for other, one in seen.items()
                if other != value and one.often and last <= one.first + OVERLAP_SECONDS
            }
            if later:
                new = max(later, key=lambda other: later[other].last)
                changes.append(_change(place, (value, new), last, later[new].first))
                finished.append(_mark(place, value))
                value, last = new, later[new].last
            marks[_mark(place, value)] = last
        return Judged(tuple(changes), marks, tuple(finished))

    def _ruling(self, place: Place, seen: Mapping[str, _Seen]) -> tuple[str, float] | None:
        """The setting that rules so far and when it was met last; at first the usual one."""
        head = _mark(place, "")
        known = [(name, at) for name, at in self._known.items() if name.startswith(head)]
        if known:
            name, at = max(known, key=lambda one: one[1])
            return name.removeprefix(head), at
        often = {value: one for value, one in seen.items() if one.often}
        if not often:
            return None
        first = min(often, key=lambda value: often[value].first)
        usual = max(often, key=lambda value: often[value].requests)
        alone = all(
            often[first].last <= one.first + OVERLAP_SECONDS
            for value, one in often.items()
            if value != first
        )
        value = first if alone else usual
        return value, often[value].last


def _mark(place: Place, value: str) -> str:
    return "|".join((_HEAD, *place, value))


def _change(place: Place, values: tuple[str, str], last: float, first: float) -> Change:
    endpoint, variant, what = place
    name = "latency optimization" if what == _PERFORMANCE else "service tier"
    # Told again after a crash, it is the same change.
    digest = hashlib.blake2b(f"{place}{values}{first}".encode(), digest_size=4).hexdigest()
    return Change(
        id=f"chg-{digest}",
        endpoint=endpoint,
        kinds=(ChangeKind.ROUTING,),
        effective_at=first,
        started_at=min(last, first),
        baseline_variant=variant,
        candidate_variant=variant,
        description=f"{variant}: {name} went from {values[0]} to {values[1]}",
        evidence={what: " -> ".join(values), "source": "Bedrock invocation log"},
    )
