"""Minutes of series made of samples: what was added from one minute's end to the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from collector.promql.answers import Bucket, Native, Series
from collector.promql.buckets import Binned, binned
from collector.promql.wanted import Temporality, Wanted
from nibai.histogram import ZERO_BUCKET, bucket_index
from nibai.model import Observation, Provenance, SeriesKey

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Amount:
    """Requests and their sum: of one minute, or since a process began."""

    binned: Binned
    sum: float


@dataclass(slots=True)
class Minutes:
    """Amounts by series and minute, and what was wrong on the way."""

    found: dict[tuple[SeriesKey, int], Amount] = field(default_factory=dict)
    unmapped: int = 0
    restarts: int = 0
    uncounted: int = 0
    beyond: float = 0.0

    def add(self, key: SeriesKey, end: float, amount: Amount) -> None:
        """Requests of the minute that ends at `end`; several series of one key add up."""
        at = (key, int(end // MINUTE) - 1)
        self.beyond += amount.binned.beyond
        known = self.found.get(at)
        if known is None:
            self.found[at] = amount
            return
        scale = min(known.binned.scale, amount.binned.scale)
        parts = [known.binned.at(scale), amount.binned.at(scale)]
        rows: dict[int, float] = {}
        for part in parts:
            for number, count in part.rows.items():
                rows[number] = rows.get(number, 0.0) + count
        joined = Binned(rows, scale, all(part.exact for part in parts))
        self.found[at] = Amount(joined, known.sum + amount.sum)

    def observations(self, provenance: Provenance | None = None) -> Iterator[Observation]:
        """Every minute with requests, in order of series and time."""
        for (key, minute), amount in sorted(self.found.items()):
            buckets, counts = amount.binned.whole()
            if not len(buckets):
                continue
            scale = amount.binned.scale
            low, high = (_bound(int(one), scale) for one in (buckets[0] - 1, buckets[-1]))
            yield Observation(
                key, minute, buckets, counts, int(counts.sum()), amount.sum,
                0.0 if buckets[0] == ZERO_BUCKET else low, high,
                scale=scale, provenance=provenance or amount.binned.provenance,
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Read:
    """What a stretch held; `warnings` say that something of it may be missing."""

    observations: tuple[Observation, ...]
    warnings: tuple[str, ...]
    minutes: Minutes


def of_histograms(
    wanted: Wanted, temporality: Temporality, series: Iterable[Series], minutes: Minutes
) -> None:
    """Native histograms at the ends of minutes."""
    for one in series:
        key = wanted.key(one.labels)
        if key is None:
            minutes.unmapped += 1
            continue
        at = {end: _amount(native, wanted.factor) for end, native in one.histograms.items()}
        _added(key, temporality, at, minutes)


def of_classic(
    wanted: Wanted,
    temporality: Temporality,
    buckets: Iterable[Series],
    sums: Iterable[Series],
    minutes: Minutes,
) -> None:
    """Classic buckets (label `le`, each with all below it) at the ends of minutes."""
    by_labels: dict[tuple[tuple[str, str], ...], dict[float, Series]] = {}
    for one in buckets:
        rest = _without(one.labels, "le")
        by_labels.setdefault(rest, {})[float(one.labels["le"])] = one
    totals = {_without(one.labels): one.values for one in sums}
    for labels, bounds in by_labels.items():
        key = wanted.key(dict(labels))
        if key is None:
            minutes.unmapped += 1
            continue
        ends = sorted({end for one in bounds.values() for end in one.values})
        total = totals.get(labels, {})
        at = {
            end: Amount(_classic(bounds, end, wanted.factor), total.get(end, 0.0) * wanted.factor)
            for end in ends
        }
        _added(key, temporality, at, minutes)


def of_numbers(
    wanted: Wanted, temporality: Temporality | None, series: Iterable[Series], minutes: Minutes
) -> None:
    """Counters and gauges: one sample a minute, what was added or (no temporality) the value.

    Several series of one key are several samples.
    """
    for one in series:
        key = wanted.key(one.labels)
        if key is None:
            minutes.unmapped += 1
            continue
        for end, value in _steps(one.values, temporality, minutes):
            scaled = value * wanted.factor
            if scaled >= 0:
                rows = {int(bucket_index([scaled])[0]): 1.0}
                minutes.add(key, end, Amount(Binned(rows, 5, exact=True), scaled))


def _steps(
    values: Mapping[float, float], temporality: Temporality | None, minutes: Minutes
) -> Iterator[tuple[float, float]]:
    if temporality is not Temporality.CUMULATIVE:
        yield from sorted(values.items())
        return
    for end, value in sorted(values.items()):
        before = values.get(end - MINUTE)
        if before is None:
            continue
        minutes.restarts += value < before
        yield end, value - before if value >= before else value


def _added(
    key: SeriesKey, temporality: Temporality, at: Mapping[float, Amount], minutes: Minutes
) -> None:
    """What each minute added. Without a sample at its start a minute says nothing (cumulative)."""
    for end, amount in sorted(at.items()):
        if temporality is Temporality.DELTA:
            minutes.add(key, end, amount)
            continue
        before = at.get(end - MINUTE)
        if before is None:
            continue
        step = amount.binned.minus(before.binned)
        if step is None:
            minutes.restarts += 1
            minutes.add(key, end, amount)
        else:
            minutes.add(key, end, Amount(step, amount.sum - before.sum))


def _amount(native: Native, factor: float) -> Amount:
    buckets = [(low * factor, high * factor, count) for low, high, count in native.buckets]
    layout = [(low, high) for low, high, _ in buckets]
    return Amount(binned(buckets, layout), native.sum * factor)


def _classic(bounds: Mapping[float, Series], end: float, factor: float) -> Binned:
    edges = sorted(bounds)
    lows = [0.0, *edges[:-1]]
    running = 0.0
    buckets: list[Bucket] = []
    for low, high in zip(lows, edges, strict=True):
        upto = max(bounds[high].values.get(end, running), running)
        buckets.append((low * factor, high * factor, upto - running))
        running = upto
    return binned(buckets, [(low, high) for low, high, _ in buckets])


def _without(labels: Mapping[str, str], *names: str) -> tuple[tuple[str, str], ...]:
    left_out = {"__name__", *names}
    return tuple(sorted((k, v) for k, v in labels.items() if k not in left_out))


def _bound(number: int, scale: int) -> float:
    """Upper bound of a bucket."""
    return 0.0 if number == ZERO_BUCKET else float(np.exp2((number + 1) / 2.0**scale))
