"""What a report shows beside a prediction verdict: who flips, how far, and the worst pairs.

Descriptive, at a fixed n unless said otherwise; none of it decides. Source: nibai's drift.md §3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist

import numpy as np

from nibai.histogram import BlockHistograms
from nibai.prediction_evidence import (
    Bounds,
    Distribution,
    MarginRow,
    PairedSignal,
    Rate,
    SegmentFlips,
)
from nibai.predictions import (
    CORRECT,
    KL,
    MARGIN_BINS,
    Hits,
    Moments,
    PairedSketch,
    Signal,
)
from nibai.stats.discordant import Discordant
from nibai.stats.multiplicity import adjusted
from nibai.stats.paired import Share, mcnemar_exact
from nibai.stats.proportions import fisher_exact
from nibai.units import finite

QUARTILES = 4
SEGMENT_Q = 0.1
"""False discovery rate of segments that stand out."""

TOP_CONFUSIONS = 20

LOST = "right before, wrong now"
"""Correct-to-wrong flips; their share is the negative flip rate (Xie et al. 2021)."""


def rate(name: str, hits: int, n: int, alpha: float) -> Rate:
    """A share with its anytime interval."""
    one = Share(hits, n)
    value = one.value if n else None
    return Rate(name, n, hits, Bounds(value, *one.interval(alpha)))


def segment_flips(sketches: Mapping[str, PairedSketch], alpha: float) -> tuple[SegmentFlips, ...]:
    """Flips by segment, the most first; `p` of Fisher's test against all others, after BH."""
    found = {label: one for label, one in sketches.items() if label and one.pairs}
    if not found:
        return ()
    n, flips = (sum(getattr(one, name) for one in sketches.values()) for name in ("pairs", "flips"))
    raw = [
        fisher_exact(one.flips, one.pairs, flips - one.flips, n - one.pairs)
        for one in found.values()
    ]
    rows = [
        SegmentFlips(
            label,
            one.pairs,
            one.flips,
            Bounds(one.flips / one.pairs, *Share(one.flips, one.pairs).interval(alpha)),
            float(p),
            bool(p <= SEGMENT_Q),
        )
        for (label, one), p in zip(found.items(), adjusted(raw), strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: -row.flips / row.n))


def simpson(
    pairs: Mapping[str, PairedSketch], floor: Mapping[str, PairedSketch] | None
) -> bool | None:
    """Whether excess flips point the other way once the floor has the same mix of segments.

    None where the floor is not split, or lacks a segment.
    """
    labels = [label for label, one in pairs.items() if one.pairs]
    if floor is None or len(labels) < 2:  # noqa: PLR2004 - one segment has no mix
        return None
    if any(label not in floor or not floor[label].pairs for label in labels):
        return None
    n = sum(pairs[label].pairs for label in labels)
    pooled = _rate(pairs.values()) - _rate(floor.values())
    stratified = sum(
        pairs[label].pairs / n * (_rate([pairs[label]]) - _rate([floor[label]])) for label in labels
    )
    return pooled * stratified < 0


def _rate(sketches: Iterable[PairedSketch]) -> float:
    found = list(sketches)
    return sum(one.flips for one in found) / sum(one.pairs for one in found)


def margin_rows(margins: Mapping[int, Hits]) -> tuple[MarginRow, ...]:
    """Flips by quartile of the old margin, as equal as the bins allow; the least sure first."""
    total = sum(one.n for one in margins.values())
    if not total:
        return ()
    rows: list[MarginRow] = []
    start, seen, row = 0, 0, Hits()
    for bin_ in range(MARGIN_BINS):
        row += margins.get(bin_, Hits())
        seen += margins.get(bin_, Hits()).n
        if row.n and (seen >= total * (len(rows) + 1) / QUARTILES or bin_ == MARGIN_BINS - 1):
            rows.append(MarginRow(start / MARGIN_BINS, (bin_ + 1) / MARGIN_BINS, row.n, row.hits))
            start, row = bin_ + 1, Hits()
    return tuple(rows)


def signal_rows(signals: Mapping[str, Signal], alpha: float) -> tuple[PairedSignal, ...]:
    """Every yes or no of an answer on both sides; McNemar's p is for one look."""
    return tuple(_signal(name, one, alpha) for name, one in sorted(signals.items()) if one.n)


def _signal(name: str, one: Signal, alpha: float) -> PairedSignal:
    difference = Discordant(one.n, one.candidate_only, one.baseline_only)
    return PairedSignal(
        name,
        one.n,
        one.baseline,
        one.candidate,
        one.baseline_only,
        one.candidate_only,
        Bounds(difference.value, *difference.interval(alpha)),
        mcnemar_exact(one.baseline_only, one.candidate_only),
    )


def event_rows(pairs: PairedSketch, alpha: float) -> tuple[Rate, ...]:
    """Events of the pair with anytime intervals; first the answers that got wrong."""
    events = dict(pairs.events)
    truth = pairs.signals.get(CORRECT)
    lost = {} if truth is None else {LOST: Hits(truth.n, truth.baseline_only)}
    rows = {**lost, **dict(sorted(events.items()))}
    return tuple(rate(name, one.hits, one.n, alpha) for name, one in rows.items() if one.n)


def distribution_rows(
    pairs: PairedSketch, alpha: float, kl_margin: float | None
) -> tuple[Distribution, ...]:
    """Numbers per pair: the mean with its normal interval, quantiles of the absolute value."""
    names = sorted(set(pairs.moments) | set(pairs.histograms))
    return tuple(
        _distribution(
            name,
            pairs.moments.get(name, Moments()),
            pairs.histograms.get(name, {}),
            alpha,
            kl_margin if name == KL else None,
        )
        for name in names
    )


def _distribution(
    name: str,
    moments: Moments,
    buckets: Mapping[int, int],
    alpha: float,
    margin: float | None,
) -> Distribution:
    median = p99 = None
    if buckets:
        filled = BlockHistograms.from_rows(
            np.zeros(len(buckets)), list(buckets), list(buckets.values()), blocks=1
        )
        median, p99 = (finite(float(one)) for one in filled.quantile([0.5, 0.99]))
    n = moments.n or sum(buckets.values())
    largest = max(moments.max, -moments.min) if moments.n else None
    return Distribution(name, n, _mean(moments, alpha), median, p99, largest, margin)


def _mean(moments: Moments, alpha: float) -> Bounds:
    if not moments.n:
        return Bounds(None, None, None)
    if moments.n == 1:
        return Bounds(moments.mean, None, None)
    spread = max(moments.sum_of_squares - moments.n * moments.mean**2, 0.0) / (moments.n - 1)
    half = NormalDist().inv_cdf(1 - alpha / 2) * math.sqrt(spread / moments.n)
    return Bounds(moments.mean, moments.mean - half, moments.mean + half)


def confusion_rows(confusion: Mapping[tuple[str, str], int]) -> tuple[tuple[str, str, int], ...]:
    """The commonest flips: (old, new, how often)."""
    rows = [(old, new, count) for (old, new), count in confusion.items()]
    return tuple(sorted(rows, key=lambda row: (-row[2], row))[:TOP_CONFUSIONS])


def over(rows: Sequence[Distribution]) -> list[str]:
    """Means that lie beyond their margin with their whole interval: warnings, not verdicts."""
    return [
        f"mean {row.metric.upper()} {row.mean.value:.3g} [{row.mean.low:.3g}, {row.mean.high:.3g}] "
        f"is above its margin of {row.margin:g} nats: a warning, it decides nothing"
        for row in rows
        if row.margin is not None and row.mean.low is not None and row.mean.low > row.margin
    ]
