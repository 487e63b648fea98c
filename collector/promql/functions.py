"""Distributions of a server that shows no buckets, asked for through functions of PromQL.

Shares at or below the edges of our grid give counts; where that function is missing, quantiles are
asked and what lies between them is fitted. Source: aws.md, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from collector.promql.answers import Matrix, Series
from collector.promql.asking import Asker, Selection
from collector.promql.buckets import binned, from_fractions
from collector.promql.minutes import MINUTE, Amount, Minutes, Read
from collector.promql.wanted import Found, Temporality
from nibai.errors import CollectError
from nibai.model import Observation, Provenance, SeriesKey, Window
from nibai.stats.percentile_fit import rebuilt_counts

WITHIN = "59999ms"
"""The range of a minute without its first millisecond."""

UNKNOWN_FUNCTION = "400"
EDGES_PER_DOUBLING = 8
LOWEST_SECONDS, HIGHEST_SECONDS = 0.005, 60.0
QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)

Key = tuple[tuple[str, str], ...]
ByLabels = Mapping[Key, Mapping[float, float]]


@dataclass(frozen=True, slots=True)
class _Counts:
    """Requests and sums of every minute, and functions of the same histograms."""

    asker: Asker
    found: Found
    window: Window

    def ask(self, function: str) -> Matrix:
        """A function of what each minute added, X in its text."""
        wanted = self.found.wanted
        opening, closing = function.split("X")
        delta = self.found.temporality is Temporality.DELTA
        added, within = ("sum_over_time", WITHIN) if delta else ("increase", "1m")
        return self.asker.ask(
            lambda selector: f"{opening}{added}({selector}[{within}]){closing}",
            Selection(self.found.name, wanted.matchers, wanted.more),
            Window(self.window.start + MINUTE, self.window.end),
        )


def by_functions(asker: Asker, found: Found, window: Window) -> Read:
    """Every minute of a window, with counts on our grid or fitted between quantiles."""
    source, minutes = _Counts(asker, found, window), Minutes()
    counts = source.ask("histogram_count(X)")
    if not any(value > 0 for one in counts.series for value in one.values.values()):
        return Read((), counts.warnings, minutes)
    sums = source.ask("histogram_sum(X)")
    try:
        parts = {e: source.ask(f"histogram_fraction(-Inf, {e!r}, X)") for e in _grid(found)}
        shares = True
    except CollectError as error:
        if error.reason != UNKNOWN_FUNCTION:
            raise
        parts = {p: source.ask(f"histogram_quantile({p!r}, X)") for p in QUANTILES}
        shares = False
    answers = (counts, sums, *parts.values())
    warnings = tuple(dict.fromkeys(text for one in answers for text in one.warnings))
    told = {at: _by_labels(answer) for at, answer in parts.items()}
    totals = _by_labels(sums)
    if shares:
        _count(found, counts, totals, told, minutes)
        return Read(tuple(minutes.observations(Provenance.TC)), warnings, minutes)
    return Read(tuple(_fitted(found, counts, totals, told, minutes)), warnings, minutes)


def _count(
    found: Found,
    counts: Matrix,
    totals: ByLabels,
    below: Mapping[float, ByLabels],
    minutes: Minutes,
) -> None:
    """Shares below edges as counts between them."""
    factor = found.wanted.factor
    layout = [(low * factor, high * factor) for low, high in pairwise(sorted(below))]
    for key, labels, end, count in _minutes(found, counts, minutes):
        shares = _told(below, labels, end)
        if shares:
            buckets = [
                (low * factor, high * factor, n) for low, high, n in from_fractions(shares, count)
            ]
            total = totals.get(labels, {}).get(end, 0.0) * factor
            minutes.add(key, end, Amount(binned(buckets, layout), total))


def _fitted(
    found: Found,
    counts: Matrix,
    totals: ByLabels,
    quantiles: Mapping[float, ByLabels],
    minutes: Minutes,
) -> Iterator[Observation]:
    """Counts between quantiles; the outermost of them are taken as the ends."""
    factor = found.wanted.factor
    for key, labels, end, count in _minutes(found, counts, minutes):
        told = _told(quantiles, labels, end)
        known = {p: value * factor for p, value in told.items() if value > 0}
        if known:
            low, high = min(known.values()), max(known.values())
            buckets, whole = rebuilt_counts(count, known, low, high)
            total = totals.get(labels, {}).get(end, 0.0) * factor
            yield Observation(
                key, int(end // MINUTE) - 1, buckets, whole, count, total, low, high,
                provenance=Provenance.PERCENTILE_FIT,
            )  # fmt: skip


def _minutes(
    found: Found, counts: Matrix, minutes: Minutes
) -> Iterator[tuple[SeriesKey, Key, float, int]]:
    """(series, labels, end, requests) of every minute with requests."""
    for one in counts.series:
        key = found.wanted.key(one.labels)
        if key is None:
            minutes.unmapped += 1
            continue
        for end, count in sorted(one.values.items()):
            if round(count) > 0:
                yield key, _key(one), end, round(count)


def _told(parts: Mapping[float, ByLabels], labels: Key, end: float) -> dict[float, float]:
    found = {at: series.get(labels, {}).get(end, math.nan) for at, series in parts.items()}
    return {at: value for at, value in found.items() if not math.isnan(value)}


def _grid(found: Found) -> list[float]:
    """Edges 2**(k/8) s in the metric's unit, from 5 ms to a minute."""
    first = math.floor(math.log2(LOWEST_SECONDS) * EDGES_PER_DOUBLING)
    last = math.ceil(math.log2(HIGHEST_SECONDS) * EDGES_PER_DOUBLING)
    return [2.0 ** (k / EDGES_PER_DOUBLING) / found.wanted.factor for k in range(first, last + 1)]


def _by_labels(answer: Matrix) -> ByLabels:
    return {_key(one): one.values for one in answer.series}


def _key(one: Series) -> Key:
    return tuple(sorted((k, v) for k, v in one.labels.items() if k != "__name__"))
