"""What forbids a verdict before any interval is looked at.

Source: nibai's statistics.md, sections 4, 9, 10 and 12. `not_comparable` comes before everything
else: more of the same data would not help.
"""

from __future__ import annotations

import math

from nibai.model import (
    Comparison,
    Reason,
    ReasonCode,
    ReplicaSample,
    Side,
    UnitKind,
    Verdict,
    WindowKind,
)
from nibai.stats.load import MIN_OVERLAP, load_range
from nibai.stats.sides import Segments, requests
from nibai.stats.verdict import ONE_RUN_MAX_QUANTILE

NOT_COMPARABLE = frozenset(
    {
        ReasonCode.UNMATCHED_CLOCK,
        ReasonCode.LOAD_OVERLAP,
        ReasonCode.SURVIVORS,
        ReasonCode.CENSORED,
        ReasonCode.SWEEP_ORDER,
        ReasonCode.SETUP_DEFECT,
        ReasonCode.SIDES_DIFFER,
        ReasonCode.NOT_JUDGED_YET,
        ReasonCode.TRAFFIC_CHANGED,
    }
)
"""Reasons that more of the same data would not remove."""

SHORT_LIVE_WINDOW_SECONDS = 6 * 3600.0
"""Live windows shorter than this need the endpoint's own history."""

FEWER_SHARE = 0.9
"""A side that completed less than this share of the other's requests may have lost some ..."""

FEWER_SIGMAS = 3.0
"""... when the difference is also beyond chance for Poisson arrivals."""


def verdict_of(code: ReasonCode) -> Verdict:
    """The verdict a gate's reason stands for."""
    return Verdict.NOT_COMPARABLE if code in NOT_COMPARABLE else Verdict.INCONCLUSIVE


def first_gate(
    comparison: Comparison,
    sides: tuple[Segments, Segments],
    quantile: float | None,
    *,
    calibrated: bool = False,
) -> Reason | None:
    """The first thing in the way of judging a quantile, None when nothing is.

    `sides` are the (baseline, candidate) segments the claim is about; `calibrated`: the critical
    value comes from the endpoint's own past.
    """
    counts = requests(sides[0]), requests(sides[1])
    if comparison.gate is not None and comparison.gate.code in NOT_COMPARABLE:
        return comparison.gate
    if 0 in counts:
        return no_data(comparison, counts)
    return (
        survivors(comparison)
        or _sweep_order(comparison, quantile)
        or load_overlap(comparison)
        or comparison.gate
        or _half_split(comparison)
        or _one_host(comparison)
        or (None if calibrated else short_live_window(comparison))
    )


def no_data(comparison: Comparison, counts: tuple[int, int]) -> Reason:
    """One side, or both, has nothing of this metric and segment."""
    empty = [
        f"the {role} ({side.label})"
        for role, side, n in zip(
            ("baseline", "candidate"),
            (comparison.baseline, comparison.candidate),
            counts,
            strict=True,
        )
        if n == 0
    ]
    if any(map(_unbinned, (comparison.baseline, comparison.candidate))):
        return Reason(
            ReasonCode.NO_DATA,
            f"no distribution of {comparison.metric} of {' and '.join(empty)}: only count, sum, "
            "minimum and maximum were recorded (CloudWatch: detail TC 109 records buckets)",
        )
    return Reason(ReasonCode.NO_DATA, f"no {comparison.metric} of {' and '.join(empty)}")


def _unbinned(side: Side) -> int:
    """Requests of which only base statistics are known."""
    return sum(
        series.recorded.unbinned
        for replica in side.replicas
        for series in replica.segments.values()
    )


def survivors(comparison: Comparison) -> Reason | None:
    """The runs of one side completed fewer requests: the missing ones may be the slowest.

    Applies to runs whose arrivals are unknown, whichever side looks faster, and whatever their time
    span: a run that lost its later requests looks like a shorter run. Parts of one run are another
    matter (`TIME_HALVES`): their counts differ because the load did.
    """
    if comparison.kind is not WindowKind.RUNS or comparison.arrivals_known or not comparison.clock:
        return None
    if comparison.half_split:
        return None
    sides = (comparison.baseline, comparison.candidate)
    done = [_completed(side) for side in sides]
    runs = [len(side.replicas) for side in sides]
    per_run = [n / r for n, r in zip(done, runs, strict=True)]
    fewer = per_run.index(min(per_run))
    expected = per_run[1 - fewer] * runs[fewer]
    noise = math.sqrt(done[fewer] + expected * runs[fewer] / runs[1 - fewer])
    if done[fewer] >= FEWER_SHARE * expected or expected - done[fewer] < FEWER_SIGMAS * noise:
        return None
    return Reason(
        ReasonCode.SURVIVORS,
        f"only survivors were measured: {done[0]} completed requests in the baseline, {done[1]} in "
        f"the candidate ({runs[0]} and {runs[1]} runs), and nothing says how many were sent; those "
        "missing may be the slowest. Give the number sent to each run: --offered N, baseline first",
    )


def load_overlap(comparison: Comparison) -> Reason | None:
    """The two sides hardly ever ran at the same load."""
    load = comparison.load
    if load is None or load.overlap >= MIN_OVERLAP:
        return None
    baseline, candidate = map(load_range, load.arrivals)
    return Reason(
        ReasonCode.LOAD_OVERLAP,
        f"the loads differ too much: {baseline} arrivals per minute and replica in the baseline, "
        f"{candidate} in the candidate; they share {load.overlap:.0%} of the requests by load, "
        f"{MIN_OVERLAP:.0%} are needed: compare windows of similar load, or send both the same "
        "traffic",
    )


def too_few_requests(counts: tuple[int, int], floor: int, label: str) -> Reason | None:
    """Either side is below the floor of a quantile."""
    if min(counts) >= floor:
        return None
    return Reason(
        ReasonCode.TOO_FEW_REQUESTS,
        f"{label} needs at least {floor} requests per side, there are {counts[0]} and {counts[1]}",
    )


def thin_segments(baseline: Segments, candidate: Segments, least: int) -> Reason | None:
    """Both sides have the same segments, but none with enough requests on both."""
    shared = baseline.keys() & candidate.keys()
    fullest = max(
        (min(requests({s: baseline[s]}), requests({s: candidate[s]})) for s in shared), default=0
    )
    if not 0 < fullest < least:
        return None
    return Reason(
        ReasonCode.TOO_FEW_REQUESTS,
        f"a segment needs {least} requests on both sides to hold the traffic mix constant, and the "
        f"fullest has {fullest}: measure longer, or leave the segments out",
    )


def _completed(side: Side) -> int:
    return sum(
        int((series.histograms.n - series.histograms.overflow).sum())
        for replica in side.replicas
        for series in replica.segments.values()
    )


def _span(replica: ReplicaSample) -> float:
    if replica.window is not None:
        return replica.window.seconds
    return replica.block_seconds * len(replica.block_starts)


def _sweep_order(comparison: Comparison, quantile: float | None) -> Reason | None:
    before, after = comparison.sweep_order
    if None in (before, after) or before == after:
        return None
    if quantile is None or quantile <= ONE_RUN_MAX_QUANTILE:
        return None
    return Reason(
        ReasonCode.SWEEP_ORDER,
        f"the load went {before} in the baseline and {after} in the candidate: caches and queues "
        "differ in the tail; measure both in the same order",
    )


def _half_split(comparison: Comparison) -> Reason | None:
    if not comparison.half_split:
        return None
    return Reason(
        ReasonCode.TIME_HALVES,
        "the two sides are parts of one run in time: caches warm up and queues build within a run, "
        "so its parts differ without any change; measure each variant in runs of its own",
    )


def _one_host(comparison: Comparison) -> Reason | None:
    if comparison.unit is not UnitKind.HOST:
        return None
    hosts = [len(side.replicas) for side in (comparison.baseline, comparison.candidate)]
    if min(hosts) > 1:
        return None
    return Reason(
        ReasonCode.ONE_RUN_PER_SIDE,
        f"{_hosts(hosts[0])} in the baseline and {_hosts(hosts[1])} in the candidate: hosts of one "
        "type differ by more than most changes, so this difference may be the hosts'; give "
        "several hosts per side (--replica COLUMN or one file each; 5 decide every quantile), "
        "or swap the hosts and compare again",
    )


def _hosts(count: int) -> str:
    return "one host" if count == 1 else f"{count} hosts"


def short_live_window(comparison: Comparison) -> Reason | None:
    """A live window is too short to be judged without the endpoint's own past."""
    if comparison.kind is not WindowKind.LIVE:
        return None
    seconds = window_seconds(comparison)
    if seconds >= SHORT_LIVE_WINDOW_SECONDS:
        return None
    return Reason(
        ReasonCode.UNCALIBRATED_SHORT_WINDOW,
        f"a live window of {hours_text(seconds)} h cannot be judged without the endpoint's own "
        "history: use at least 6 h on both sides, or repeated runs (--runs)",
    )


def hours_text(seconds: float) -> str:
    """Hours of a window that is too short: rounding never makes it read as long enough.

    >>> hours_text(21_420), hours_text(5399), hours_text(90)
    ('just under 6', '1.5', '0.025')
    """
    rounded = f"{seconds / 3600:.2g}"
    enough = SHORT_LIVE_WINDOW_SECONDS / 3600
    return f"just under {enough:g}" if float(rounded) >= enough else rounded


def window_seconds(comparison: Comparison) -> float:
    """Length of the shorter side."""
    return min(_longest(comparison.baseline), _longest(comparison.candidate))


def _longest(side: Side) -> float:
    return max((_span(replica) for replica in side.replicas), default=0.0)
