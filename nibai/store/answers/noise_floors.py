"""How often a variant disagrees with itself, from the answers in the lake."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from nibai.store.answers.counting import Counted, Facts, count, one_row
from nibai.store.answers.pairing import (
    Pairing,
    Party,
    Profile,
    by_request,
    repeats,
    side_sql,
    sightings,
)

LEAST_SIGHTINGS = 300
"""Inputs that came again by chance are a floor from this many on: popular inputs are few."""


@dataclass(frozen=True, slots=True)
class Floor:
    """A variant against itself; `how` it came to answer twice."""

    counted: Counted
    how: str
    pairing: Pairing


@dataclass(frozen=True, slots=True)
class Floors:
    """Noise floors from the answers of one endpoint."""

    connection: Any
    rows: str
    facts: Facts

    def of(self, party: Party, profile: Profile, copy: str | None = None) -> Floor | None:
        """The floor of a variant: by repeats or by its named copy, whichever has more inputs.

        Where there is neither, by inputs that came again, if those are many.
        """
        repeated, came_again = self._chances(party, profile.batch)
        found = []
        if repeated:
            pairing = repeats(self.rows, party, profile.batch)
            found.append(self._floor("repeated requests", pairing))
        if copy is not None:
            sides = [
                side_sql(self.rows, one, profile) for one in (party, replace(party, variant=copy))
            ]
            found.append(self._floor(f"against its copy {copy}", by_request(*sides)))
        if any(one.counted.inputs for one in found):
            return max(found, key=lambda one: one.counted.inputs)
        if came_again >= LEAST_SIGHTINGS:
            pairing = sightings(self.rows, party, profile.batch)
            floor = self._floor("inputs that came again", pairing)
            return floor if floor.counted.inputs >= LEAST_SIGHTINGS else None
        return None

    def _floor(self, how: str, pairing: Pairing) -> Floor:
        return Floor(count(self.connection, pairing, self.facts), how, pairing)

    def _chances(self, party: Party, batch: int) -> tuple[int, int]:
        """Repeats, and first answers to an input beyond the first one: cheap bounds."""
        first = "FILTER (WHERE repeat = 0 AND input_hash <> '')"
        repeated, firsts, inputs = one_row(
            self.connection,
            f"SELECT count(*) FILTER (WHERE repeat > 0), count(*) {first}, "
            f"count(DISTINCT input_hash) {first} FROM ({self.rows}) "
            f"WHERE {party.where} AND batch = {batch}",
        )
        return int(repeated), int(firsts) - int(inputs)
