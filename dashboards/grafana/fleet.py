"""The fleet at first glance: which claims held, what is open, and nibai's own health."""

from __future__ import annotations

from typing import Any

from dashboards.grafana import colours, layout
from dashboards.grafana.layout import Row
from dashboards.grafana.panels import (
    Panel,
    defaults,
    grid,
    joined,
    lines,
    override,
    tile,
    timeline,
)
from dashboards.grafana.promql import (
    QUANTILES,
    adjusted,
    latest,
    newest,
    prediction_claims,
    rate,
    series,
    time_quantile,
    worst_verdict,
)
from dashboards.grafana.queries import now, over_time, rows
from dashboards.grafana.sdk import dashboard
from nibai.metric_registry import VERDICT_CODES
from nibai.model import Verdict

UID = "nibai-fleet"
OUTCOMES = (Verdict.CONFIRMED, Verdict.REFUTED, Verdict.INCONCLUSIVE, Verdict.NOT_COMPARABLE)
SUFFIXES = {"estimate": "", "low": " low", "high": " high"}


def build() -> dict[str, Any]:
    """The dashboard."""
    marker = latest("endpoint, change", series("nibai_change_effective_timestamp_seconds"))
    return layout.document(
        UID,
        "nibai · fleet",
        "Every endpoint: what was claimed of its last change, and what production says.",
        [
            Row("", _tiles()),
            Row("Endpoints", [_endpoints(), _verdicts(), _slowest()]),
            Row("Traffic", [_throughput(), _errors()]),
            Row("nibai itself", _health()),
        ],
        variables=[layout.source_variable(), layout.metric_variable()],
        markers=[layout.change_marker(marker)],
        since="now-7d",
    )


def _tiles() -> list[Panel]:
    endpoints = f"count({rate('endpoint', 'nibai_requests_total')})"
    alerts = latest("state", series("nibai_alerts", 'state=~"pending|firing"'))
    lag = latest("collector", series("nibai_collector_lag_seconds"))
    slowest = _speedups("0.99", "estimate")
    cost = series("nibai_cost_usd_per_request", side="candidate", bound="estimate")
    limit = latest("collector", series("nibai_collector_lag_limit_seconds"))
    silent = (
        f"{latest('collector', series('nibai_collector_silence_seconds'))} > bool "
        f"{latest('collector', series('nibai_collector_silence_limit_seconds'))}"
    )
    stale = tile(
        "Stale collectors",
        "Collectors whose newest minute is older than how often they read explains, or to "
        "which nobody sends.",
        "nibai_collector_lag_seconds",
        now(f"sum(clamp_max(({lag} > bool {limit}) + (({silent}) or 0 * {lag}), 1))"),
    )
    defaults(stale).thresholds = colours.judged_above(1, "red")
    defaults(stale).color = _by_threshold()
    opened = tile(
        "Open alerts",
        "Alerts that are pending or firing.",
        "nibai_alerts",
        now(f"sum({alerts})"),
    )
    defaults(opened).thresholds = colours.judged_above(1, "red")
    defaults(opened).color = _by_threshold()
    unannounced = latest("endpoint, moved", series("nibai_unannounced_changes"))
    return [
        tile(
            "Endpoints",
            "Endpoints with requests that nibai counts.",
            "nibai_requests_total",
            now(endpoints),
        ),
        _claims(),
        opened,
        tile(
            "Unannounced changes",
            "Changes of the last 7 days that detectors noticed and that no claim is about.",
            "nibai_unannounced_changes",
            now(f"sum({unannounced}) or vector(0)"),
        ),
        tile(
            "Worst p99 ratio",
            "The smallest speed-up at p99 among the newest changes; above 1 is faster.",
            "nibai_change_speedup_ratio",
            now(f"min({slowest})"),
            unit="suffix:x",
        ),
        tile(
            "USD per 1k requests",
            "Mean cost of the newest variants, an endpoint one vote.",
            "nibai_cost_usd_per_request",
            now(f"1000 * avg({newest('endpoint', cost)})"),
            unit="currencyUSD",
        ),
        stale,
    ]


def _claims() -> Panel:
    found = (
        f"max by (endpoint, change, claim) (last_over_time({series('nibai_claim_verdict')}[90d]))"
    )
    queries = [
        now(f"sum({found} == bool {VERDICT_CODES[verdict]})", verdict.value.replace("_", " "))
        for verdict in OUTCOMES
    ]
    panel = tile(
        "Claims, 90 days",
        "Claims by their last verdict, of changes seen in the last 90 days.",
        "nibai_claim_verdict",
        *queries,
        width=6,
    )
    for verdict in OUTCOMES:
        colour = colours.fixed(colours.VERDICT_COLOURS[verdict])
        override(panel, verdict.value.replace("_", " "), color=colour)
    return panel


def _speedups(quantile: str, bound: str) -> str:
    both = [
        newest(
            "endpoint",
            adjusted(adjustment, 'segment=""', quantile=quantile, bound=bound),
        )
        for adjustment in ("like_for_like", "raw")
    ]  # fmt: skip
    return " or ".join(both)


def _endpoints() -> Panel:
    since = series("nibai_change_effective_timestamp_seconds")
    cost = series("nibai_cost_usd_per_request", side="candidate", bound="estimate")
    columns = {
        "Verdict": newest("endpoint, change", series("nibai_change_verdict")),
        "Changed": f"1000 * {newest('endpoint', since)}",
        "Claimed": newest("endpoint", series("nibai_change_claim_ratio", 'quantile!=""')),
        **{
            f"{name}{suffix}": _speedups(quantile, bound)
            for quantile, name in QUANTILES.items()
            for bound, suffix in SUFFIXES.items()
        },
        "Answers": worst_verdict("endpoint", _newest_prediction_claims()),
        "USD per 1k": f"1000 * {newest('endpoint', cost)}",
    }
    panel = grid(
        "Newest change of each endpoint",
        "Claimed and measured speed-up with its interval, verdict, verdict on the answers, and "
        "cost.",
        "nibai_change_verdict",
        *[rows(expression) for expression in columns.values()],
        unit="suffix:x",
    )
    joined(panel, "endpoint", columns, number=False)
    for name in ("Verdict", "Answers"):
        cell = {"type": "color-text"}
        override(panel, name, unit="none", mappings=colours.verdicts(), custom__cellOptions=cell)
    override(panel, "Changed", unit="dateTimeFromNow")
    override(panel, "USD per 1k", unit="currencyUSD")
    return override(panel, "endpoint", links=[_audit_link()])


def _newest_prediction_claims() -> str:
    return newest("endpoint, change, claim", prediction_claims())


def _audit_link() -> dashboard.DashboardLink:
    url = (
        "/d/nibai-change-audit?var-endpoint=${__data.fields.endpoint:percentencode}"
        "&var-change=${__data.fields.change:percentencode}&${datasource:queryparam}&${__url_time_range}"
    )
    return dashboard.DashboardLink(title="Change audit", url=url)


def _verdicts() -> Panel:
    return timeline(
        "Verdicts",
        "Verdict of the newest change of each endpoint, as audits saw it.",
        "nibai_change_verdict",
        over_time(newest("endpoint", series("nibai_change_verdict")), "{{endpoint}}"),
    )


def _slowest() -> Panel:
    return lines(
        "p99 by endpoint",
        "99 of 100 requests are faster. As collected, late by the collector's lag.",
        "nibai_latency_seconds",
        over_time(time_quantile(0.99, "endpoint", ""), "{{endpoint}}"),
        unit="s",
    )


def _throughput() -> Panel:
    return lines(
        "Requests per second",
        "Requests that ended, in whatever way.",
        "nibai_requests_total",
        over_time(rate("endpoint", "nibai_requests_total"), "{{endpoint}}"),
        unit="reqps",
    )


def _errors() -> Panel:
    every = rate("endpoint", "nibai_requests_total")
    bad = rate("endpoint", "nibai_requests_total", 'outcome!="success"')
    return lines(
        "Error ratio",
        "Errors and timeouts among all requests.",
        "nibai_requests_total",
        # An endpoint that never failed has no series of failures: its ratio is 0, not absent.
        over_time(f"({bad} or 0 * {every}) / {every}", "{{endpoint}}"),
        unit="percentunit",
    )


def _health() -> list[Panel]:
    return [
        _with_limit(
            "Collector lag",
            "Age of the newest minute that a collector holds final, and what is allowed.",
            "nibai_collector_lag",
        ),
        _with_limit(
            "Silence of senders",
            "How long nobody has sent to a collector that is pushed to, and what is usual.",
            "nibai_collector_silence",
        ),
        lines(
            "Minutes count from",
            "Age from which on minutes of watched endpoints count, the oldest of a source: learned "
            "by reading them again, three hours where nothing is learned.",
            "nibai_minutes_count_from_seconds",
            over_time(
                f"max by (collector) ({series('nibai_minutes_count_from_seconds')})",
                "{{collector}}",
            ),
            unit="s",
            width=4,
        ),
        lines(
            "Write-ahead log",
            "Acknowledged and not folded into the lake yet; grows without end when folding fails.",
            "nibai_wal_bytes",
            over_time(f"sum({series('nibai_wal_bytes')})", "bytes"),
            unit="bytes",
            width=4,
        ),
        lines(
            "Notifications by result",
            "Messages to receivers; failed ones are tried again.",
            "nibai_notifications_total",
            over_time(
                _hourly("notifier, result", "nibai_notifications_total"), "{{notifier}} {{result}}"
            ),
            unit="short",
            width=4,
        ),
        lines(
            "Audit slots by state",
            "Slots of the schedule in the last hour; a skipped one was not audited.",
            "nibai_audit_slots_total",
            over_time(_hourly("task, state", "nibai_audit_slots_total"), "{{task}} {{state}}"),
            unit="short",
            width=4,
        ),
    ]


def _with_limit(title: str, text: str, name: str) -> Panel:
    """A time and the limit above which a collector has gone quiet."""
    found = latest("collector", series(f"{name}_seconds"))
    limit = latest("collector", series(f"{name}_limit_seconds"))
    return lines(
        title,
        text,
        f"{name}_seconds",
        over_time(found, "{{collector}}"),
        over_time(limit, "{{collector}} limit"),
        unit="s",
        width=4,
    )


def _hourly(by: str, name: str) -> str:
    return f"sum by ({by}) (increase({series(name)}[1h]))"


def _by_threshold() -> dashboard.FieldColor:
    return dashboard.FieldColor(mode=dashboard.FieldColorModeId.THRESHOLDS)
