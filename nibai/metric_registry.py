"""What nibai exports, in one table: `/metrics`, the manual, rules and dashboards come from it.

Ratios are baseline / candidate, so that more than 1 is better. Labels: `bound` is estimate, low or
high; `side` is baseline or candidate; an empty `segment` is all traffic.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nibai.conventions import METRICS
from nibai.model import Verdict


class MetricType(StrEnum):
    """Types of Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Bound(StrEnum):
    """Which number of an estimate a series is."""

    ESTIMATE = "estimate"
    LOW = "low"
    HIGH = "high"


VERDICT_CODES = {
    Verdict.CONFIRMED: 1,
    Verdict.REFUTED: -1,
    Verdict.INCONCLUSIVE: 0,
    Verdict.NOT_COMPARABLE: -2,
    Verdict.PARTLY: 2,
}
"""A verdict as the value of a gauge."""

RECENT_CHANGES = 20
"""So many changes are exported, the newest; series of older ones disappear."""


@dataclass(frozen=True, slots=True)
class Exported:
    """One metric family.

    `series` says what bounds the number of its series. `internal`: nibai's own health, which needs
    no place on a dashboard of the user's endpoints.
    """

    name: str
    type: MetricType
    unit: str
    labels: tuple[str, ...]
    help: str
    series: str
    internal: bool = False


_SERIES = ("endpoint", "variant")
_CHANGE = ("endpoint", "variant", "change")
_PER_SERIES = "endpoints × variants"
_PER_CHANGE = f"last {RECENT_CHANGES} changes"


def _times() -> tuple[Exported, ...]:
    return tuple(
        Exported(
            f"nibai_{metric.name}_seconds",
            MetricType.HISTOGRAM,
            "s",
            _SERIES,
            f"{metric.help}, as collected".capitalize(),
            _PER_SERIES,
        )
        for metric in METRICS.values()
        if metric.unit == "s"
    )


def _gauge(name: str, unit: str, labels: tuple[str, ...], text: str, series: str) -> Exported:
    return Exported(name, MetricType.GAUGE, unit, labels, text, series)


def _own(name: str, kind: MetricType, unit: str, labels: tuple[str, ...], text: str) -> Exported:
    return Exported(name, kind, unit, labels, text, "a few per process", internal=True)


REGISTRY: dict[str, Exported] = {
    one.name: one
    for one in (
        *_times(),
        _gauge(
            "nibai_latency_quantile_seconds",
            "s",
            (*_SERIES, "metric", "quantile"),
            "Quantile of the newest five minutes in the lake, provisional ones too",
            f"{_PER_SERIES} × metrics × 3",
        ),
        Exported(
            "nibai_requests_total",
            MetricType.COUNTER,
            "1",
            (*_SERIES, "outcome"),
            "Requests by how they ended: success, error or timeout",
            f"{_PER_SERIES} × 3",
        ),
        _gauge(
            "nibai_accelerator_use_ratio",
            "1",
            _SERIES,
            "Share of the time that accelerators were busy, mean of the newest five minutes in the "
            "lake",
            _PER_SERIES,
        ),
        _gauge(
            "nibai_change_info",
            "1",
            (*_CHANGE, "kind"),
            "1 for each kind of a change",
            _PER_CHANGE,
        ),
        _gauge(
            "nibai_change_effective_timestamp_seconds",
            "s",
            _CHANGE,
            "When traffic moved to the change, seconds since the epoch",
            _PER_CHANGE,
        ),
        _gauge(
            "nibai_unannounced_changes",
            "1",
            ("endpoint", "moved"),
            "Changes that detectors noticed in the last 7 days and that no claim is about: for the "
            "worse or the better, of answers or of traffic",
            "endpoints × 4",
        ),
        _gauge(
            "nibai_claim_verdict",
            "1",
            (*_CHANGE, "claim"),
            "Verdict of a claim: 1 confirmed, -1 refuted, 0 inconclusive, -2 not comparable",
            f"{_PER_CHANGE} × claims",
        ),
        _gauge(
            "nibai_claim_refuted_level_ratio",
            "1",
            (*_CHANGE, "claim"),
            "Confidence level that the refutation of a claim reaches at any number of looks, of "
            "all its segments together; 0 where it is not refuted",
            f"{_PER_CHANGE} × claims",
        ),
        _gauge(
            "nibai_change_verdict",
            "1",
            _CHANGE,
            "Verdict of the newest audit: as nibai_claim_verdict, and 2 partly",
            _PER_CHANGE,
        ),
        _gauge(
            "nibai_change_claim_ratio",
            "1",
            (*_CHANGE, "claim", "quantile"),
            "The ratio that a claim promises",
            f"{_PER_CHANGE} × claims × quantiles",
        ),
        _gauge(
            "nibai_change_speedup_ratio",
            "1",
            (*_CHANGE, "metric", "quantile", "segment", "bound", "adjustment"),
            "Measured speed-up; adjustment is raw or like_for_like",
            f"{_PER_CHANGE} × quantiles × segments × 6",
        ),
        _gauge(
            "nibai_change_shift_seconds",
            "s",
            (*_CHANGE, "metric", "quantile", "bound"),
            "Seconds saved at a quantile (negative: lost)",
            f"{_PER_CHANGE} × quantiles × 3",
        ),
        _gauge(
            "nibai_change_ecdf_ratio",
            "1",
            (*_CHANGE, "metric", "side", "le"),
            "Share of requests up to a latency",
            f"{_PER_CHANGE} × 2 × 40",
        ),
        _gauge(
            "nibai_change_observed_requests",
            "1",
            (*_CHANGE, "side"),
            "Requests that the newest audit rests on",
            f"{_PER_CHANGE} × 2",
        ),
        _gauge(
            "nibai_change_false_positive_ratio",
            "1",
            (*_CHANGE, "quantile"),
            "How often the judge was wrong on this endpoint's unchanged past",
            f"{_PER_CHANGE} × quantiles",
        ),
        _gauge(
            "nibai_change_level_ratio", "1", _CHANGE, "Confidence level of the audit", _PER_CHANGE
        ),
        _gauge(
            "nibai_segment_share_ratio",
            "1",
            (*_CHANGE, "side", "segment"),
            "Share of the traffic that a segment has",
            f"{_PER_CHANGE} × 2 × segments",
        ),
        _gauge(
            "nibai_load_latency_seconds",
            "s",
            (*_CHANGE, "side", "load_bin", "quantile"),
            "Median latency of the blocks in a bin of load",
            f"{_PER_CHANGE} × 2 × bins × quantiles",
        ),
        _gauge(
            "nibai_load_requests_per_second",
            "1/s",
            (*_CHANGE, "side", "load_bin"),
            "Median load of the blocks in a bin",
            f"{_PER_CHANGE} × 2 × bins",
        ),
        _gauge(
            "nibai_cost_usd_per_request",
            "USD",
            (*_CHANGE, "side", "bound"),
            "What a successful request costs",
            f"{_PER_CHANGE} × 6",
        ),
        _gauge(
            "nibai_drift_distance_ratio",
            "1",
            (*_CHANGE, "kind", "feature", "bound"),
            "Distance between before and after, 0 to 1",
            f"{_PER_CHANGE} × features × 3",
        ),
        _gauge(
            "nibai_drift_threshold_ratio",
            "1",
            (*_CHANGE, "kind", "feature"),
            "Distance that is allowed (pairs), or usual when nothing changed (score)",
            f"{_PER_CHANGE} × features",
        ),
        _gauge(
            "nibai_prediction_flip_ratio",
            "1",
            (*_CHANGE, "segment", "bound"),
            "Share of answers that changed",
            f"{_PER_CHANGE} × segments × 3",
        ),
        _gauge(
            "nibai_prediction_excess_flip_ratio",
            "1",
            (*_CHANGE, "segment", "bound"),
            "Share of answers that changed beyond the old variant's own",
            f"{_PER_CHANGE} × segments × 3",
        ),
        _gauge(
            "nibai_prediction_self_flip_ratio",
            "1",
            (*_CHANGE, "side", "bound"),
            "Share of answers in which a variant disagrees with itself",
            f"{_PER_CHANGE} × 6",
        ),
        _gauge(
            "nibai_prediction_margin_ratio",
            "1",
            (*_CHANGE, "claim"),
            "Share of changed answers that is allowed",
            f"{_PER_CHANGE} × claims",
        ),
        Exported(
            "nibai_prediction_pairs_total",
            MetricType.COUNTER,
            "1",
            _CHANGE,
            "Pairs of answers that were compared",
            _PER_CHANGE,
        ),
        _gauge(
            "nibai_prediction_share_ratio",
            "1",
            (*_CHANGE, "side", "class"),
            "Share of a class among the answers; the largest 20, and other",
            f"{_PER_CHANGE} × 2 × 21",
        ),
        _gauge(
            "nibai_prediction_invalid_ratio",
            "1",
            (*_CHANGE, "side"),
            "Share of answers that are invalid",
            f"{_PER_CHANGE} × 2",
        ),
        _gauge(
            "nibai_response_length_ratio",
            "1",
            (*_CHANGE, "bound"),
            "Length of the new answers over that of the old",
            f"{_PER_CHANGE} × 3",
        ),
        _own("nibai_build_info", MetricType.GAUGE, "1", ("version",), "1; the version is a label"),
        _own(
            "nibai_collector_lag_seconds",
            MetricType.GAUGE,
            "s",
            ("collector",),
            "Age of the newest minute that a collector has read whole",
        ),
        _own(
            "nibai_collector_lag_limit_seconds",
            MetricType.GAUGE,
            "s",
            ("collector",),
            "Age of that minute above which a collector has gone quiet, by how often it reads",
        ),
        _own(
            "nibai_collector_silence_seconds",
            MetricType.GAUGE,
            "s",
            ("collector",),
            "How long nobody has sent to a collector that is pushed to",
        ),
        _own(
            "nibai_collector_silence_limit_seconds",
            MetricType.GAUGE,
            "s",
            ("collector",),
            "Silence above which a collector has gone quiet, as learned or configured",
        ),
        _own(
            "nibai_collector_silent_series",
            MetricType.GAUGE,
            "1",
            ("collector",),
            "Series that a pulled source was read for and that never gave anything",
        ),
        _own(
            "nibai_minutes_count_from_seconds",
            MetricType.GAUGE,
            "s",
            ("endpoint", "collector"),
            "Age from which on minutes of a watched endpoint count: as learned, or when final",
        ),
        _own(
            "nibai_collector_errors_total",
            MetricType.COUNTER,
            "1",
            ("collector", "reason"),
            "Readings of a source that failed",
        ),
        _own(
            "nibai_collector_revised_minutes_total",
            MetricType.COUNTER,
            "1",
            ("collector", "after_final"),
            "Stored minutes of series that changed, before or after they were final",
        ),
        _own(
            "nibai_collector_dollars_total",
            MetricType.COUNTER,
            "USD",
            ("collector",),
            "What reading a source was billed, by the price list",
        ),
        _own("nibai_wal_bytes", MetricType.GAUGE, "By", (), "Bytes acknowledged, not folded yet"),
        _own(
            "nibai_commit_seconds",
            MetricType.HISTOGRAM,
            "s",
            (),
            "Time that folding closed minutes into the lake took",
        ),
        _own(
            "nibai_audit_runs_total",
            MetricType.COUNTER,
            "1",
            ("task", "result"),
            "Scheduled audits by how they ended",
        ),
        _own(
            "nibai_audit_slots_total",
            MetricType.COUNTER,
            "1",
            ("task", "state"),
            "Slots of the schedule: done, failed, skipped or taken over",
        ),
        _own("nibai_alerts", MetricType.GAUGE, "1", ("state",), "Alerts by state"),
        _own(
            "nibai_notifications_total",
            MetricType.COUNTER,
            "1",
            ("notifier", "result"),
            "Messages to a receiver by how they ended",
        ),
        _own(
            "nibai_otlp_spans_total",
            MetricType.COUNTER,
            "1",
            ("result",),
            "Spans and points received: kept, repeated or refused",
        ),
    )
}
"""Every exported metric by name."""
