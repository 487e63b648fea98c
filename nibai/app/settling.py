"""Learning from re-reading: which minutes changed after which age, noted before they are stored.

A minute's age is told from the end of a reading, which lies some minutes before its moment: it is
at least so old. Only readings whose newest minutes are young tell anything; a backfill tells
nothing of ages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping

from nibai.model import Observation
from nibai.stats.settling import AGES_SECONDS, HOUR, NOTHING_LEARNED, changed_bits, seen_bit
from nibai.store.pulled.observations import Difference, Minute, Stored
from nibai.store.pulled.stored import name_of
from nibai.store.state.database import State
from nibai.store.state.settling import forget, learned_ages, note_seen, put_young_reads, young_reads
from nibai.store.state.watermarks import Brought

YOUNG_SECONDS = 900.0
"""A reading that ends so long before its moment tells how old its newest minutes were."""


class Settling:
    """Of one reading of one source; `learns` False: nothing is noted, and what was is forgotten."""

    def __init__(
        self, state: State, source: str, clock: Callable[[], float], *, learns: bool = True
    ) -> None:
        self._state = state
        self._source = source
        self._clock = clock
        self._learns = learns
        if not learns:
            forget(state, source)
        self._read = young_reads(state, source)
        self._trusted: dict[str, float] = {}

    def note(
        self, observed: Iterable[Observation], found: Difference, stored: Mapping[Minute, Stored]
    ) -> set[Minute]:
        """Which minutes of a part changed after the age that was trusted when they came."""
        if not self._read:
            return set()
        changed = {(one.key, one.minute) for one in found.new}
        changed |= {
            (one.key, one.minute)
            for one in found.revised
            if _counted_otherwise(one, stored[one.key, one.minute])
        }
        seen: dict[tuple[str, int], tuple[int, int]] = {}
        beyond: set[Minute] = set()
        for one in observed:
            age = self._age(one)
            if age < AGES_SECONDS[0]:
                continue
            own = changed_bits(age) if (one.key, one.minute) in changed else 0
            if own and age >= self._trusted_age(one.key.endpoint):
                beyond.add((one.key, one.minute))
            hour = (one.key.endpoint, int(one.minute // 60 * HOUR))
            before = seen.get(hour, (0, 0))
            seen[hour] = before[0] | seen_bit(age), before[1] | own
        if seen:
            note_seen(self._state, self._source, seen)
        return beyond

    def read(
        self,
        read_until: Mapping[str, float],
        final_until: Mapping[str, float],
        brings: Mapping[str, Collection[Brought]],
    ) -> None:
        """How far series were read, and are final: their rows are in the lake."""
        if not self._learns:
            return
        now, read, old = self._clock(), dict[Brought, float](), set[Brought]()
        for series, final in final_until.items():
            until = read_until.get(series, final)
            if until - final <= AGES_SECONDS[0]:
                continue  # asked again for minutes only: nothing to learn
            for brought in brings.get(series, ()):
                if now - until > YOUNG_SECONDS:
                    old.add(brought)
                else:
                    read[brought] = min(until, read.get(brought, until))
        if read or old:
            fresh = {brought: until for brought, until in read.items() if brought not in old}
            put_young_reads(self._state, self._source, fresh, old, now)

    def _age(self, one: Observation) -> float:
        """How old the minute was when it was read last; below zero: it was not read."""
        return self._read.get(name_of(one.key), -math.inf) - (one.minute + 1) * 60.0

    def _trusted_age(self, endpoint: str) -> float:
        """As it was trusted when this reading began."""
        if endpoint not in self._trusted:
            known = learned_ages(self._state, endpoint, self._clock())
            age = known.get(self._source, NOTHING_LEARNED).age_seconds
            self._trusted[endpoint] = math.inf if age is None else age
        return self._trusted[endpoint]


def _counted_otherwise(one: Observation, before: Stored) -> bool:
    """Whether the minute itself changed, and not only how finely it is known."""
    if one.provenance.value in before.cells:
        return True
    requests, errors, timeouts = (sum(cell[i] for cell in before.cells.values()) for i in (0, 2, 3))
    return (one.count, one.errors, one.timeouts) != (requests, errors, timeouts)
