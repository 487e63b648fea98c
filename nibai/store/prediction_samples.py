"""The prediction samples of a change from the lake: pairs, noise floors, how many found partners.

One sample per profile of batch, live traffic first: that is what latency was measured on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from nibai.model import Change
from nibai.pairing import ANONYMOUS, BY_INPUT, BY_REQUEST, MATCH_NEEDED
from nibai.predictions import EvidenceLevel, JoinReport, PredictionSample
from nibai.store.connection import connect
from nibai.store.engine import Engine, unreadable
from nibai.store.noise_floors import Floors
from nibai.store.paired_answers import (
    Facts,
    Pairing,
    Party,
    Profile,
    by_input,
    by_request,
    facts_of,
    one_row,
    rows_sql,
    same_inputs,
    side_sql,
    sketches,
)

CONTROL = "control_variant"
"""Key of `Change.evidence` that names a second copy of the old variant: old against old."""

SHADOW = "shadow"


def prediction_samples(engine: Engine, change: Change) -> list[PredictionSample]:
    """One sample per profile in which both variants answered; none where a side did not."""
    old, new = change.baseline_variant, change.candidate_variant
    if old is None or new is None or old == new:
        return []
    files = engine.answer_files()
    if not files:
        return []
    parties = (Party(old, change.baseline_window), Party(new, change.candidate_window))
    connection, rows = connect(), rows_sql(files, change.endpoint)
    try:
        asked = _Asked(connection, rows, parties, change, facts_of(connection, rows))
        samples = [asked.sample(profile) for profile in asked.profiles()]
    except duckdb.Error as error:
        raise unreadable(engine.root, error) from error
    paired = [one for one in samples if one.join and one.join.match_rate >= MATCH_NEEDED]
    # Answers that found no partner say nothing beside those that did.
    return paired or samples


@dataclass(frozen=True, slots=True)
class _Asked:
    """One change's questions to the answers of its endpoint."""

    connection: Any
    rows: str
    parties: tuple[Party, Party]
    change: Change
    facts: Facts

    def profiles(self) -> list[Profile]:
        """Profiles that both sides have: live ones first, then batch 1, then the largest."""
        old, new = (f"count(*) FILTER (WHERE {party.where})" for party in self.parties)
        found = self.connection.execute(
            f"SELECT batch, origin = '' AS live, {old} AS old, {new} AS new FROM ({self.rows}) "
            "GROUP BY 1, 2 HAVING old > 0 AND new > 0 "
            "ORDER BY live DESC, batch <> 1, least(old, new) DESC, batch"
        ).fetchall()
        return [Profile(int(batch), bool(live)) for batch, live, *_ in found]

    def sample(self, profile: Profile) -> PredictionSample:
        """Everything about one profile."""
        sides = [side_sql(self.rows, party, profile) for party in self.parties]
        pairing, join, hashed = self._join(sides, profile)
        floors = Floors(self.connection, self.rows, self.facts)
        old = floors.of(self.parties[0], profile, self.change.evidence.get(CONTROL))
        new = floors.of(self.parties[1], profile)
        level, source = self._level(profile, join)
        notes = [
            f"noise floor of the {which} variant: {floor.how}"
            for which, floor in (("old", old), ("new", new))
            if floor is not None
        ]
        return PredictionSample(
            level=level,
            source=source,
            pairs=sketches(self.connection, pairing, self.facts, missing=True),
            floor_old=None if old is None else old.sketches,
            floor_new=None if new is None else new.sketches,
            batch=profile.batch,
            join=join,
            same_inputs=(
                None if old is None else same_inputs(self.connection, pairing, old.pairing)
            ),
            labels=(self.parties[0].variant, self.parties[1].variant),
            distinct_by=BY_INPUT if hashed else BY_REQUEST,
            notes=tuple(notes),
        )

    # -- old against new ------------------------------------------------------------------
    def _join(self, sides: Sequence[str], profile: Profile) -> tuple[Pairing, JoinReport, bool]:
        """By request id, unless that matches few and input hashes match more.

        Also whether all inputs of the old variant have a hash.
        """
        (old, old_hashed, old_bare), (new, _, new_bare) = (self._counts(side) for side in sides)
        given = self._one(
            "SELECT "
            + ", ".join(f"count(*) FILTER (WHERE {party.where})" for party in self.parties)
            + f" FROM ({self.rows}) WHERE {profile.where}"
        )
        pairing, key = by_request(*sides), BY_REQUEST
        matched, skew = self._matched(pairing)
        if 2 * matched < min(old, new):
            other = by_input(*sides)
            more, other_skew = self._matched(other)
            if more > matched:
                pairing, key, matched, skew = other, BY_INPUT, more, other_skew
        bare = old_bare + new_bare
        report = JoinReport(
            key=key,
            requests=(old, new),
            matched=matched,
            duplicates=(given[0] - old, given[1] - new),
            quarantined={ANONYMOUS: bare} if bare else {},
            skew_seconds=skew,
        )
        return pairing, report, old_hashed == old

    def _level(self, profile: Profile, join: JoinReport) -> tuple[EvidenceLevel, str]:
        """Mirrored live requests are the strongest evidence; everything else was sent for it."""
        if self.change.runs:
            return EvidenceLevel.REPLAY, "runs"
        named = self.connection.execute(
            f"SELECT DISTINCT source FROM ({self.rows}) WHERE {profile.where} AND "
            f"({' OR '.join(f'({party.where})' for party in self.parties)}) ORDER BY 1"
        ).fetchall()
        sources = [str(row[0]) for row in named if row[0]]
        if profile.live and (join.key == BY_REQUEST or SHADOW in sources):
            return EvidenceLevel.SHADOW, SHADOW
        return EvidenceLevel.REPLAY, ", ".join(sources) or "equal live inputs"

    # -- numbers --------------------------------------------------------------------------
    def _counts(self, side: str) -> tuple[int, int, int]:
        """Answers of a side, those with an input hash, those that nothing can join."""
        n, hashed, bare = self._one(
            "SELECT count(*), count(*) FILTER (input_hash <> ''), count(*) FILTER (input = '') "
            f"FROM ({side})"
        )
        return int(n), int(hashed), int(bare)

    def _matched(self, pairing: Pairing) -> tuple[int, float | None]:
        """Pairs, and the median time between partners in seconds."""
        n, skew = self._one(pairing.select("count(*), median(b.at_us - a.at_us) / 1e6"))
        return int(n), None if skew is None else float(skew)

    def _one(self, sql: str) -> tuple[Any, ...]:
        return one_row(self.connection, sql)
