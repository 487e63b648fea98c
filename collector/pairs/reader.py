"""Pairs of answers that people already have in files, as samples of predictions.

CSV, JSON Lines, Parquet, Arrow tables, and sketches that others made of parts (Spark). What was
guessed is said in the notes; rows and answers that cannot be read are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from collector.inputs import expand
from collector.pairs.counting import Counted, Group, count
from nibai.errors import UsageError
from nibai.paired.build import same_inputs
from nibai.predictions import (
    EvidenceLevel,
    JoinReport,
    PairedSketch,
    PredictionSample,
    SameInputs,
    total,
)
from nibai.protocols import PairsReader, PairsRequest

SOURCE = "pairs file"

VARIANTS = {"baseline": 0, "old": 0, "before": 0, "": 0, "candidate": 1, "new": 1, "after": 1}


def build(options: Mapping[str, object]) -> PairsReader:
    """The reader; it has no options."""
    del options
    return FilesOfPairs()


class FilesOfPairs:
    """Reads files of pairs into samples, one per batch size that the files name."""

    def read(self, request: PairsRequest) -> Sequence[PredictionSample]:
        """The pairs, and the noise floors where files of noise pairs are given."""
        pairs = count(request, expand(request.sources))
        noise = None
        if request.noise:
            asked = replace(request, output=pairs.output())
            noise = count(asked, expand(request.noise), noise=True)
        return _samples(request, pairs, noise)


# -- samples --------------------------------------------------------------------------------


def _samples(
    request: PairsRequest, pairs: Counted, noise: Counted | None
) -> list[PredictionSample]:
    groups = {
        size: sketches for (_, size), sketches in sorted(pairs.groups().items(), key=_by_pairs)
    }
    floors = {} if noise is None else _floors(noise)
    notes = tuple(pairs.notes) + tuple(
        f"noise pairs: {note}" for note in (() if noise is None else noise.notes)
    )
    join, rows = _join(pairs, groups.values()), pairs.rows()
    return [
        PredictionSample(
            level=EvidenceLevel.SHADOW if request.shadow else EvidenceLevel.REPLAY,
            source=SOURCE,
            pairs=sketches,
            floor_old=_floor(floors, 0, size),
            floor_new=_floor(floors, 1, size),
            stated_floor=request.noise_floor,
            raw=True,
            batch=size,
            join=join,
            same_inputs=None if noise is None else _same_inputs(pairs, noise, size),
            distinct_by=_distinct_by(pairs),
            notes=notes,
            rows=rows,
        )
        for size, sketches in (groups or {None: {"": PairedSketch()}}).items()
    ]


def _join(pairs: Counted, groups: Iterable[Mapping[str, PairedSketch]]) -> JoinReport:
    """How many rows hold both answers; of sketches made elsewhere, what those say."""
    matched, present = pairs.matched, tuple(pairs.present)
    if pairs.ready:
        whole = total(sketch for sketches in groups for sketch in sketches.values())
        matched = whole.all_pairs
        present = (matched + whole.missing_candidate, matched + whole.missing_baseline)
    lost = sum(pairs.quarantined.values())
    return JoinReport(
        key="row of the file",
        requests=(present[0] + lost, present[1] + lost),
        matched=matched,
        quarantined=dict(pairs.quarantined),
    )


def _by_pairs(item: tuple[Group, Mapping[str, PairedSketch]]) -> int:
    return -total(item[1].values()).pairs


def _floors(noise: Counted) -> dict[tuple[int, int | None], dict[str, PairedSketch]]:
    found: dict[tuple[int, int | None], dict[str, PairedSketch]] = {}
    for (variant, size), sketches in noise.groups().items():
        if variant not in VARIANTS:
            raise UsageError(
                f"noise pairs of variant {variant!r}: the column holds baseline or candidate"
            )
        found[VARIANTS[variant], size] = sketches
    return found


def _floor(
    floors: Mapping[tuple[int, int | None], dict[str, PairedSketch]], side: int, size: int | None
) -> dict[str, PairedSketch] | None:
    """The floor of the same batch size; where only one size is known, that one."""
    if (side, size) in floors:
        return floors[side, size]
    own = [sketches for (which, _), sketches in floors.items() if which == side]
    return own[0] if len(own) == 1 and size is None else None


def _same_inputs(pairs: Counted, noise: Counted, size: int | None) -> SameInputs | None:
    """Flips of the inputs that both the pairs and the old variant's noise pairs have."""
    if _distinct_by(pairs) != _distinct_by(noise):
        return None
    own = [one for (variant, n), one in noise.builders.items() if _is_old(variant) and n == size]
    between = [one for (_, n), one in pairs.builders.items() if n == size]
    return same_inputs(between[0], own[0]) if own and between else None


def _is_old(variant: str) -> bool:
    return VARIANTS.get(variant) == 0


def _distinct_by(pairs: Counted) -> str:
    if "input_hash" in pairs.roles or not pairs.roles:
        return "input hash"
    return "request id" if "request_id" in pairs.roles else "row"
