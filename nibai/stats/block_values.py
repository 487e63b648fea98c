"""The one number that a pair of blocks contributes to a sequence, "better" upward.

For a quantile: the log2 ratio of the two blocks' quantiles at fixed segment shares. For errors: how
much smaller the candidate's share of failed requests is.
Source: nibai's statistics.md, section 7.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nibai.histogram import SCALE, BlockHistograms, Float64Array
from nibai.model import RecordedAs
from nibai.stats.inversion import REACH
from nibai.stats.recorded import AS_MEASURED, RecordedShare, RecordingError, recording_error
from nibai.stats.score import pooled_table
from nibai.stats.sequential_rates import Trials
from nibai.stats.sides import Segments, requests, run_log2_quantiles, whole

LEAST_REQUESTS = 20
"""Requests per side that any block needs."""

TAIL_REQUESTS = 5
"""Requests beyond the quantile that a block needs on average."""

MIN_COVERAGE = 0.9
"""Share of the usual traffic that the segments present on both sides must stand for."""


Recorded = tuple[RecordedShare, RecordedShare]
"""Of baseline and candidate."""

RECORDED_EXACTLY: Recorded = (RecordedShare(RecordedAs(), 0),) * 2


@dataclass(frozen=True, slots=True)
class BlockReading:
    """One block of both sides.

    `value` is NaN where the block holds too little, and infinite where a quantile lies among failed
    requests. The trials count failed and all requests. `error`: how far the value may be from that
    of the requests one by one.
    """

    value: float
    baseline: Trials
    candidate: Trials
    error: RecordingError = AS_MEASURED


def requests_needed(quantile: float | None) -> int:
    """Requests per side and block from which on a block's quantile is worth something.

    >>> [requests_needed(p) for p in (None, 0.5, 0.9, 0.99)]
    [20, 20, 50, 500]
    """
    if quantile is None:
        return LEAST_REQUESTS
    beyond = round(TAIL_REQUESTS / min(quantile, 1 - quantile), 9)
    return max(LEAST_REQUESTS, math.ceil(beyond))


def block_reading(
    baseline: Segments,
    candidate: Segments,
    quantile: float | None,
    weights: Mapping[str, float],
    *,
    higher_is_better: bool = False,
    recorded: Recorded = RECORDED_EXACTLY,
) -> BlockReading:
    """The reading of one block; segments hold one block each, quantile None asks for errors.

    `weights` are the usual shares of the segments; those that one side lacks are left out.
    `recorded`: what of the requests around the block has no buckets of its own.
    """
    sides = trials_of(baseline), trials_of(candidate)
    needed = requests_needed(quantile)
    if min(side.requests for side in sides) < needed:
        return BlockReading(math.nan, *sides)
    if quantile is None:
        return BlockReading(sides[0].share - sides[1].share, *sides)
    common = {
        label: weight
        for label, weight in weights.items()
        if all(label in side and int(side[label].n.sum()) > 0 for side in (baseline, candidate))
    }
    if sum(common.values()) < MIN_COVERAGE:
        return BlockReading(math.nan, *sides)
    kept = [{label: side[label] for label in common} for side in (baseline, candidate)]
    if min(requests(side) for side in kept) < needed:
        return BlockReading(math.nan, *sides)
    before, after = (run_log2_quantiles([side], quantile, common)[0] for side in kept)
    if not (math.isfinite(before) and math.isfinite(after)):
        return BlockReading(math.inf, *sides)
    error = _error(kept, quantile, recorded)
    if higher_is_better:
        before, after, error = after, before, RecordingError(error.above, error.below)
    return BlockReading(before - after, *sides, error)


def block_values(
    baseline: Segments,
    candidate: Segments,
    quantile: float | None,
    weights: Mapping[str, float],
) -> Float64Array:
    """Values of G pairs of blocks, as `block_reading` gives them; NaN for infinite ones too.

    Segments of both sides hold the same G blocks. Fast where no segments have to be weighted.
    """
    names = list(weights)
    sides = (baseline, candidate)
    if quantile is None or len(names) != 1 or any(names[0] not in side for side in sides):
        blocks = max((h.blocks for side in sides for h in side.values()), default=0)
        readings = (
            block_reading(_block(baseline, i), _block(candidate, i), quantile, weights)
            for i in range(blocks)
        )
        found = np.array([reading.value for reading in readings])
    else:
        one, other = (side[names[0]] for side in sides)
        before, after = (h.block_log2_quantiles([quantile])[0] for h in (one, other))
        enough = np.minimum(one.n, other.n) >= requests_needed(quantile)
        with np.errstate(invalid="ignore"):
            found = np.where(enough, before - after, math.nan)
    return np.where(np.isfinite(found), found, math.nan)


def _error(sides: Sequence[Segments], quantile: float, recorded: Recorded) -> RecordingError:
    scale = min(part.scale for side in sides for part in side.values())
    if scale >= SCALE and recorded == RECORDED_EXACTLY:
        return AS_MEASURED
    first, second = (
        pooled_table((whole(side) or BlockHistograms.empty(1)).downscale(scale)) for side in sides
    )
    error = recording_error(
        (first, second),
        quantile,
        (recorded[0].of, recorded[1].of),
        (recorded[0].requests or first.requests, recorded[1].requests or second.requests),
    )
    return RecordingError(min(error.below, REACH), min(error.above, REACH))


def _block(segments: Segments, number: int) -> Segments:
    return {label: histograms.take([number]) for label, histograms in segments.items()}


def trials_of(segments: Segments) -> Trials:
    """Failed (errors, timeouts, never completed) and all requests of one block."""
    failed = sum(int(histograms.overflow.sum()) for histograms in segments.values())
    return Trials(failed, requests(segments))
