"""What changed without anybody announcing it? Lasting steps in the past of every series.

Each series is looked at through several views: quantiles, the spread between them and the share of
failed requests, all without their daily rhythm. Which series changed at all is decided for all of
them together (Benjamini-Hochberg), then each of those is cut at its changes. The rules: nibai's
statistics.md, sections 12 and 14.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analyzers.found_wording import headline, movement_text
from nibai.conventions import METRICS
from nibai.histogram import Float64Array
from nibai.history import FoundChange, Movement, Scan, SeriesHistory, Suspect
from nibai.model import Change, Estimate, Window
from nibai.protocols import History, Scanner
from nibai.stats.change_points import MIN_SEGMENT, change_points
from nibai.stats.cycle import without_cycle
from nibai.stats.multiplicity import adjusted
from nibai.stats.series_watch import BEYOND
from nibai.stats.shifts import LEVEL, JointChange, Shift, joint_changes, joint_p_value
from nibai.stats.shifts import shift as shift_of
from nibai.units import finite

QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9, "p99": 0.99}
SPREAD, ERRORS = "spread", "errors"
FALSE_SHARE = 0.05
SUSPECT_WITHIN_SECONDS = 86_400.0
DAY_SECONDS = 86_400


Views = Mapping[str, Float64Array]


@dataclass(frozen=True, slots=True)
class Regression:
    """Scanner for lasting changes; `false_share` bounds the expected share of false ones."""

    false_share: float = FALSE_SHARE
    suspect_within_seconds: float = SUSPECT_WITHIN_SECONDS

    def scan(self, history: History, known: Sequence[Change]) -> Scan:
        """All changes of all series, each with the nearest known change."""
        p_values: list[float] = []
        kept: list[tuple[int, SeriesHistory, Views]] = []
        series = 0
        window, block_seconds = None, 0.0
        for one in history.series():
            series += 1
            block_seconds = one.block_seconds
            window = _window(one, (0, one.histograms.blocks))
            views = views_of(one)
            if not views:
                continue
            p_values.append(joint_p_value(views))
            # A larger p-value than the share is never rejected: nothing else needs to be kept.
            if p_values[-1] <= self.false_share:
                kept.append((len(p_values) - 1, one, views))
        rejected = adjusted(p_values) <= self.false_share
        alpha = self.false_share * float(np.mean(rejected)) if p_values else 0.0
        found = [
            self._change(one, views, change, known)
            for position, one, views in kept
            if rejected[position]
            for change in joint_changes(views, alpha=alpha)
        ]
        return Scan(
            series=series,
            thin=series - len(p_values),
            false_share=self.false_share,
            suspect_within_seconds=self.suspect_within_seconds,
            window=window,
            block_seconds=block_seconds,
            changes=tuple(one for one in found if not _told_by_a_variant(one, found)),
        )

    def _change(
        self, one: SeriesHistory, views: Views, change: JointChange, known: Sequence[Change]
    ) -> FoundChange:
        point = change.point
        start = [one.start + one.block_seconds * i for i in (point.low, point.index, point.high)]
        between = Window(start[0] - one.block_seconds, start[2] + one.block_seconds)
        movements = tuple(
            _movement(one.metric, name, views[name], (change.before, change.after), shift)
            for name, shift in change.shifts.items()
        )
        return FoundChange(
            endpoint=one.endpoint,
            variant=one.variant,
            metric=one.metric,
            segment=one.segment,
            at=start[1],
            between=between,
            block_seconds=one.block_seconds,
            clearest=change.view,
            p_value=point.p_value,
            before=_window(one, change.before),
            after=_window(one, change.after),
            movements=movements,
            suspect=suspect_of(known, one.endpoint, between, self.suspect_within_seconds),
            text=headline(one.metric, movements),
        )

    def describe(
        self, one: SeriesHistory, view: str, cut: int, known: Sequence[Change]
    ) -> tuple[Movement, Suspect | None]:
        """One view before and from block `cut` on, without its daily rhythm."""
        blocks = one.histograms.blocks
        period = round(DAY_SECONDS / one.block_seconds)
        values = without_cycle(_measured(one)[view], period, cuts=[cut])
        value, low, high = shift_of(values[:cut], values[cut:])
        shift = Shift(value, low, high, LEVEL, changed=True)
        stretches = ((0, cut), (cut, blocks))
        between = _window(one, (cut - 1, blocks))
        return (
            _movement(one.metric, view, values, stretches, shift),
            suspect_of(known, one.endpoint, between, self.suspect_within_seconds),
        )


def build(options: Mapping[str, object]) -> Scanner:
    """The scanner; options `false_share` (0.05), `suspect_within_seconds` (a day)."""
    return Regression(
        float(str(options.get("false_share", FALSE_SHARE))),
        float(str(options.get("suspect_within_seconds", SUSPECT_WITHIN_SECONDS))),
    )


def views_of(one: SeriesHistory) -> Views:
    """The views that enough blocks have; an error share only where something failed."""
    period = round(DAY_SECONDS / one.block_seconds)
    return {
        name: _steady(values, period)
        for name, values in _measured(one).items()
        if np.count_nonzero(~np.isnan(values)) >= 2 * MIN_SEGMENT
    }


def _measured(one: SeriesHistory) -> Views:
    """Every view block by block, as it is."""
    histograms = one.histograms
    n = histograms.n
    table = histograms.block_log2_quantiles(list(QUANTILES.values()))
    measured: dict[str, Float64Array] = {}
    for (name, p), values in zip(QUANTILES.items(), table, strict=True):
        enough = n * min(p, 1 - p) >= BEYOND
        measured[name] = np.where(enough, values, np.nan)
    with np.errstate(invalid="ignore"):
        measured[SPREAD] = measured["p90"] - measured["p10"]
    measured[SPREAD][~np.isfinite(measured[SPREAD])] = np.nan
    if histograms.overflow.any():
        # The share itself, not its arcsine: the mean of an arcsine moves with the traffic.
        measured[ERRORS] = np.where(n > 0, histograms.overflow / np.maximum(n, 1), np.nan)
    return measured


def _steady(values: Float64Array, period: int) -> Float64Array:
    """A view without its daily rhythm; the rhythm is found around the levels between changes."""
    rough = change_points(without_cycle(values, period))
    return without_cycle(values, period, cuts=[point.index for point in rough])


def suspect_of(
    known: Sequence[Change], endpoint: str, between: Window, within_seconds: float
) -> Suspect | None:
    """The latest known change before the end of `between`; one of the same endpoint goes first."""
    candidates = []
    for change in known:
        at = change.effective_at
        if at is None and change.candidate_window is not None:
            at = change.candidate_window.start
        if at is None or at > between.end or between.start - at > within_seconds:
            continue
        same = change.endpoint == endpoint
        distance = max(between.start - at, 0.0)
        candidates.append(
            Suspect(
                change.id, change.endpoint, tuple(kind.value for kind in change.kinds),
                change.description, at, distance, same,
            )
        )  # fmt: skip
    return min(
        candidates,
        key=lambda one: (not one.same_endpoint, one.seconds_before, -one.effective_at),
        default=None,
    )


def _told_by_a_variant(one: FoundChange, found: Sequence[FoundChange]) -> bool:
    """Whether a change of all variants together is that of one of them."""
    return one.variant is None and any(
        other.variant is not None
        and (other.endpoint, other.metric, other.segment) == (one.endpoint, one.metric, one.segment)
        and other.between.start <= one.between.end
        and one.between.start <= other.between.end
        for other in found
    )


def _movement(
    metric: str,
    view: str,
    values: Float64Array,
    stretches: tuple[tuple[int, int], tuple[int, int]],
    shift: Shift,
) -> Movement:
    known = METRICS.get(metric)
    ends = [_typical(values[slice(*stretch)]) for stretch in stretches]
    if view == ERRORS:
        ends = [max(end, 0.0) for end in ends]  # a share without its rhythm may fall below
        size = _estimate(shift.value, shift.low, shift.high, shift.level)
    else:
        ends = [_power(end) for end in ends]
        # A bound that is not finite as a logarithm is none, also where the ratio would be 0.
        logs = (-shift.value, -shift.high, -shift.low)
        value, low, high = (_power(x) if math.isfinite(x) else math.nan for x in logs)
        size = _estimate(value, low, high, shift.level)
    unit = known.unit if known is not None else "s"
    better = -1 if known is not None and known.higher_is_better else 1
    text = movement_text(view, ends, shift, unit=unit, better=better)
    return Movement(
        view, QUANTILES.get(view), finite(ends[0]), finite(ends[1]), size, shift.changed, text
    )


def _typical(values: Float64Array) -> float:
    """Mean over the blocks of a stretch, infinite where most of them are."""
    values = values[~np.isnan(values)]
    if not len(values):
        return math.nan
    median = float(np.median(values))
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if math.isfinite(median) else median


def _power(log2_value: float) -> float:
    return math.pow(2.0, log2_value)


def _estimate(value: float, low: float, high: float, level: float) -> Estimate:
    return Estimate(finite(value), finite(low), finite(high), level)


def _window(one: SeriesHistory, stretch: tuple[int, int]) -> Window:
    return Window(*(one.start + one.block_seconds * end for end in stretch))
