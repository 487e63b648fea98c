"""Which calls read a window of series, and what they will be billed: pure, nothing is asked.

A call may hold 500 queries and 100,800 datapoints and has one period. Five statistics of one metric
in one call are billed as one metric, whatever the number of minutes; the statistics of a series are
therefore never split over calls, and a call covers as much time as fits.
Source: aws.md, sections 4 and 6 (service model of botocore; price text of CloudWatch).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from collector.cloudwatch.grid import WIDEST_SECONDS, Grid
from collector.cloudwatch.series import Kind, Series
from nibai.model import Window

MAX_QUERIES = 500
MAX_DATAPOINTS = 100_800
STATISTICS_PER_BILLED_METRIC = 5
DOLLARS_PER_BILLED_METRIC = 1e-5
MONTH_HOURS = 730.0
DAY = 86_400.0

RESOLUTIONS = ((15 * DAY, 60.0), (63 * DAY, 300.0), (455 * DAY, 3600.0))
"""Periods still kept up to an age; a finer one is answered with nothing, without an error."""

BASE = ("SampleCount", "Sum", "Minimum", "Maximum")
PERCENTILES = ("p50", "p75", "p90", "p95", "p99", "p99.9")


class Detail(StrEnum):
    """What is bought of a distribution, most to least: the order of degradation under a budget."""

    BUCKETS_109 = "TC 109"
    BUCKETS_55 = "TC 55"
    BUCKETS_28 = "TC 28"
    PERCENTILES = "percentiles"
    BASE = "base statistics"

    @property
    def scale(self) -> int | None:
        """Scale of the grid; None without one."""
        return _SCALES.get(self)


_SCALES = {Detail.BUCKETS_109: 3, Detail.BUCKETS_55: 2, Detail.BUCKETS_28: 1}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One series, in how much detail, over which range of values (seconds).

    `failures`: the series that count all requests, then those that count failed ones; they are
    asked in the same call. `extremes_only`: nothing but the smallest and the largest value.
    """

    series: Series
    detail: Detail = Detail.BUCKETS_109
    range_seconds: tuple[float, float] = WIDEST_SECONDS
    failures: tuple[Series, ...] = ()
    extremes_only: bool = False

    @property
    def grid(self) -> Grid | None:
        """The buckets that are bought; None where none are."""
        scale = self.detail.scale
        if scale is None or self.series.published.kind is not Kind.DISTRIBUTION:
            return None
        return Grid.over(*self.range_seconds, scale)

    @property
    def statistics(self) -> tuple[str, ...]:
        """Everything asked of the series, in the order of its queries."""
        if self.series.published.kind is Kind.GAUGE:
            return BASE
        if self.series.published.kind is Kind.COUNT:
            return ("Sum",)
        if self.extremes_only:
            return ("Minimum", "Maximum")
        grid = self.grid
        if grid is not None:
            return (*BASE, *grid.statistics(self.series.published.units_per_base))
        return (*BASE, *PERCENTILES) if self.detail is Detail.PERCENTILES else BASE

    @property
    def asked(self) -> tuple[tuple[Series, str], ...]:
        """Series and statistic of every query, those of the failures last."""
        own = tuple((self.series, statistic) for statistic in self.statistics)
        return (*own, *((one, "Sum") for one in self.failures))

    @property
    def billed_metrics(self) -> int:
        """What a call that holds nothing else is billed."""
        return _billed(self.asked)


@dataclass(frozen=True, slots=True)
class Call:
    """One request (all its pages): whole series over [window.start, window.end) at one period."""

    wanted: tuple[Wanted, ...]
    window: Window
    period_seconds: float

    @property
    def asked(self) -> tuple[tuple[Series, str], ...]:
        """Series and statistic of every query; what several series need is asked once."""
        return tuple(dict.fromkeys(query for one in self.wanted for query in one.asked))

    @property
    def queries(self) -> int:
        """Queries in the request."""
        return len(self.asked)

    @property
    def datapoints(self) -> int:
        """Most datapoints that can come back."""
        return self.queries * round(self.window.seconds / self.period_seconds)

    @property
    def billed_metrics(self) -> int:
        """What the request is billed."""
        return _billed(self.asked)


@dataclass(frozen=True, slots=True)
class Plan:
    """Calls in order of time, and their bill."""

    calls: tuple[Call, ...]

    @property
    def billed_metrics(self) -> int:
        """Of all calls."""
        return sum(call.billed_metrics for call in self.calls)

    @property
    def dollars(self) -> float:
        """Of all calls, at the list price."""
        return self.billed_metrics * DOLLARS_PER_BILLED_METRIC


def plan(wanted: Sequence[Wanted], window: Window, now: float) -> Plan:
    """The calls that read a window whole; its ends are rounded outwards to the period.

    What is older than CloudWatch keeps is left out. The window ends at the last period that is over
    at `now`.
    """
    calls = [
        call
        for period, stretch in stretches(window, now)
        for group in _alike(wanted)
        for piece in _pieces(stretch, period, len(group[0].asked))
        for call in packed(group, piece, period)
    ]
    return Plan(tuple(sorted(calls, key=lambda call: call.window.start)))


def stretches(window: Window, now: float) -> list[tuple[float, Window]]:
    """The window cut where CloudWatch keeps coarser periods, oldest first.

    >>> [(p, w.start, w.end) for p, w in stretches(Window(0, 40 * DAY), 20 * DAY)]
    [(300.0, 0.0, 432000.0), (60.0, 432000.0, 1728000.0)]
    """
    found = []
    newer = now
    for age, period in RESOLUTIONS:
        oldest = math.ceil((now - age) / 3600.0) * 3600.0
        start = math.floor(max(window.start, oldest) / period) * period
        end = min(math.ceil(window.end / period) * period, math.floor(newer / period) * period)
        if start < end:
            found.append((period, Window(start, end)))
        newer = oldest
    return found[::-1]


def monthly_dollars(wanted: Iterable[Wanted], every_seconds: float) -> float:
    """What reading series again and again costs in a month of 730 hours.

    The minutes of one reading fit into a call: only the number of series makes it several.

    >>> from collector.cloudwatch.series import PUBLISHED, variant_series
    >>> one = Wanted(variant_series(PUBLISHED[0], "1.eu-west-1", "chat", "blue"))
    >>> round(monthly_dollars([one], 3600.0), 3)
    0.168
    """
    each = [call for group in _alike(list(wanted)) for call in packed(group, Window(0, 60), 60.0)]
    dollars = sum(call.billed_metrics for call in each) * DOLLARS_PER_BILLED_METRIC
    return dollars * MONTH_HOURS * 3600.0 / every_seconds


def within_budget(
    wanted: Sequence[Wanted],
    monthly: Callable[[Sequence[Wanted]], float],
    dollars_per_month: float,
) -> list[Wanted]:
    """The same series in the most detail that the budget pays; all are degraded alike.

    `monthly` prices series. The least detail is returned even where it costs more: then nothing may
    be read.
    """
    fitted = list(wanted)
    for detail in Detail:
        fitted = [replace(one, detail=max(one.detail, detail, key=_ORDER.index)) for one in wanted]
        if monthly(fitted) <= dollars_per_month:
            return fitted
    return fitted


_ORDER = list(Detail)


def _alike(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    """Series with as many statistics: they fill calls of the same length of time."""
    groups: dict[int, list[Wanted]] = {}
    for one in wanted:
        groups.setdefault(len(one.asked), []).append(one)
    return list(groups.values())


def _pieces(window: Window, period: float, statistics: int) -> list[Window]:
    """The window in pieces of which one series fits a call."""
    longest = MAX_DATAPOINTS // statistics * period
    count = math.ceil(window.seconds / longest)
    return [
        Window(window.start + i * longest, min(window.start + (i + 1) * longest, window.end))
        for i in range(count)
    ]


def packed(wanted: Sequence[Wanted], window: Window, period: float) -> list[Call]:
    """Whole series, as many to a call as its limits allow."""
    most = min(MAX_QUERIES, MAX_DATAPOINTS // round(window.seconds / period))
    groups: list[list[Wanted]] = []
    asked: set[tuple[Series, str]] = set()
    for one in wanted:
        together = asked | set(one.asked)
        if groups and len(together) <= most:
            groups[-1].append(one)
            asked = together
        else:
            groups.append([one])
            asked = set(one.asked)
    return [Call(tuple(group), window, period) for group in groups]


def _billed(asked: Iterable[tuple[Series, str]]) -> int:
    """Up to five statistics of one metric are billed as one."""
    statistics = Counter(series for series, _ in asked)
    return sum(math.ceil(n / STATISTICS_PER_BILLED_METRIC) for n in statistics.values())
