"""The prediction samples of a change from the lake: pairs, noise floors, how many found partners.

One sample per profile of batch, live traffic first: that is what latency was measured on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from nibai.model import Change
from nibai.pairing import ANONYMOUS, BY_INPUT, BY_REQUEST, MATCH_NEEDED
from nibai.predictions import CaptureGap, EvidenceLevel, JoinReport, PairedSketch, PredictionSample
from nibai.store.answers.counting import (
    Facts,
    count,
    count_alone,
    facts_of,
    one_row,
    same_inputs,
    with_missing,
)
from nibai.store.answers.noise_floors import Floors
from nibai.store.answers.pairing import (
    Pairing,
    Party,
    Profile,
    by_input,
    by_request,
    rows_sql,
    side_sql,
)
from nibai.store.answers.sample import answer_rows
from nibai.store.engine.connection import connect
from nibai.store.lake.reading import reading
from nibai.store.series.blocks import Engine

CONTROL = "control_variant"
"""Key of `Change.evidence` that names a second copy of the old variant: old against old."""

SHADOW = "shadow"


def prediction_samples(
    engine: Engine,
    change: Change,
    *,
    keep_rows: int = 0,
    gaps: tuple[CaptureGap, ...] = (),
) -> list[PredictionSample]:
    """One sample per profile in which both variants answered; none where a side did not.

    `keep_rows`: how many single pairs each sample keeps beside the counts. `gaps`: hours of which
    live answers are missing.
    """
    old, new = change.baseline_variant, change.candidate_variant
    if old is None or new is None or old == new:
        return []
    files = engine.answer_files()
    if not files:
        return []
    parties = (Party(old, change.baseline_window), Party(new, change.candidate_window))
    connection, rows = connect(), rows_sql(files, change.endpoint)
    with reading(engine.root):
        asked = _Asked(connection, rows, parties, change, facts_of(connection, rows), keep_rows)
        samples = [
            replace(asked.sample(profile, stored), gaps=gaps if profile.live else ())
            for profile, stored in asked.profiles()
        ]
    paired = [one for one in samples if one.join and one.join.match_rate >= MATCH_NEEDED]
    # Answers that found no partner say nothing beside those that did.
    return paired or samples


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is stored of one profile: answers of both sides, and what is known of them.

    `anonymous` answers have neither a request id nor an input hash; `hashed`: every input of the
    old variant has a hash.
    """

    old: int
    new: int
    anonymous: int
    hashed: bool
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """One change's questions to the answers of its endpoint."""

    connection: Any
    rows: str
    parties: tuple[Party, Party]
    change: Change
    facts: Facts
    keep_rows: int

    def profiles(self) -> list[tuple[Profile, _Stored]]:
        """Profiles that both sides have: live ones first, then batch 1, then the largest."""
        sides = [f"FILTER (WHERE {party.where})" for party in self.parties]
        old, new = (f"count(*) {side}" for side in sides)
        either = f"({self.parties[0].where}) OR ({self.parties[1].where})"
        found = self.connection.execute(
            f"SELECT batch, origin = '' AS live, {old} AS old, {new} AS new, "
            f"count(*) FILTER (WHERE ({either}) AND input = ''), "
            f"count(*) FILTER (WHERE {self.parties[0].where} AND input_hash = '') = 0, "
            f"list(DISTINCT source) FILTER (WHERE {either}) FROM ({self.rows}) "
            "GROUP BY 1, 2 HAVING old > 0 AND new > 0 "
            "ORDER BY live DESC, batch <> 1, least(old, new) DESC, batch"
        ).fetchall()
        return [
            (
                Profile(int(batch), bool(live)),
                _Stored(a, b, anonymous, hashed, tuple(sorted(named))),
            )
            for batch, live, a, b, anonymous, hashed, named in found
        ]

    def sample(self, profile: Profile, stored: _Stored) -> PredictionSample:
        """Everything about one profile."""
        pairing, counted, join = self._join(profile, stored)
        floors = Floors(self.connection, self.rows, self.facts)
        old = floors.of(self.parties[0], profile, self.change.evidence.get(CONTROL))
        new = floors.of(self.parties[1], profile)
        level, source = self._level(profile, stored, join)
        notes = [
            f"noise floor of the {which} variant: {floor.how}"
            for which, floor in (("old", old), ("new", new))
            if floor is not None
        ]
        if profile.live:
            notes.append(f"answers of both variants are paired by {join.key}")
        return PredictionSample(
            level=level,
            source=source,
            pairs=counted,
            floor_old=None if old is None else old.counted.sketches,
            floor_new=None if new is None else new.counted.sketches,
            batch=profile.batch,
            join=join,
            same_inputs=(
                None if old is None else same_inputs(self.connection, pairing, old.pairing)
            ),
            labels=(self.parties[0].variant, self.parties[1].variant),
            distinct_by=BY_INPUT if stored.hashed else BY_REQUEST,
            notes=tuple(notes),
            rows=(
                answer_rows(self.connection, pairing, self.keep_rows) if self.keep_rows else None
            ),
        )

    def _join(
        self, profile: Profile, stored: _Stored
    ) -> tuple[Pairing, dict[str, PairedSketch], JoinReport]:
        """By request id, unless that matches few and input hashes match more."""
        sides = [side_sql(self.rows, party, profile) for party in self.parties]
        pairing, key = by_request(*sides), BY_REQUEST
        counted = count(self.connection, pairing, self.facts)
        alone = count_alone(self.connection, pairing)
        requests = tuple(counted.matched + sum(side.values()) for side in alone)
        if 2 * counted.matched < min(requests):
            other = by_input(*sides)
            (more,) = one_row(self.connection, other.select("count(*)"))
            if more > counted.matched:
                pairing, key = other, BY_INPUT
                counted = count(self.connection, pairing, self.facts)
                alone = count_alone(self.connection, pairing)
        report = JoinReport(
            key=key,
            requests=(requests[0], requests[1]),
            matched=counted.matched,
            duplicates=(stored.old - requests[0], stored.new - requests[1]),
            quarantined={ANONYMOUS: stored.anonymous} if stored.anonymous else {},
            skew_seconds=counted.skew_seconds,
        )
        return pairing, with_missing(counted.sketches, alone), report

    def _level(
        self, profile: Profile, stored: _Stored, join: JoinReport
    ) -> tuple[EvidenceLevel, str]:
        """Mirrored live requests are the strongest evidence; everything else was sent for it."""
        if self.change.runs:
            return EvidenceLevel.REPLAY, "runs"
        sources = [source for source in stored.sources if source]
        if profile.live and (join.key == BY_REQUEST or SHADOW in sources):
            return EvidenceLevel.SHADOW, SHADOW
        return EvidenceLevel.REPLAY, ", ".join(sources) or "equal live inputs"
