"""One change over time: latency, the interval, cost, errors, throughput."""

from __future__ import annotations

from dashboards.grafana import colours
from dashboards.grafana.panels import (
    Panel,
    band,
    density,
    lines,
    override,
    promise,
)
from dashboards.grafana.promql import (
    ONE_CHANGE,
    QUANTILES,
    at_quantile,
    buckets,
    cost,
    latest,
    rate,
    series,
    time_quantile,
)
from dashboards.grafana.queries import cells, over_time
from dashboards.grafana.sdk import dashboard

ENDPOINT = '{endpoint="$endpoint"}'


def latency() -> Panel:
    """Quantiles as scraped and as the lake holds them."""
    chosen = {"endpoint": "$endpoint", "metric": "$metric", "quantile": "$quantile"}
    lake = series("nibai_latency_quantile_seconds", **chosen)
    panel = lines(
        "Latency over time",
        "As scraped, and at the chosen quantile as the lake holds it. Purple marks are changes.",
        "nibai_latency_seconds",
        *[
            over_time(time_quantile(float(quantile), "variant", ENDPOINT), name + " {{variant}}")
            for quantile, name in QUANTILES.items()
        ],
        over_time(latest("variant, quantile", lake), "lake {{quantile}} {{variant}}"),
        unit="s",
    )
    points = {"id": "byFrameRefID", "options": "D"}
    return _by_matcher(panel, points, custom__drawStyle="points", custom__pointSize=4)


def _by_matcher(panel: Panel, matcher: dict[str, str], **properties: object) -> Panel:
    override(panel, "", **properties)
    assert panel.field_config is not None  # noqa: S101 - `panel` sets both
    assert panel.field_config.overrides is not None  # noqa: S101 - same
    panel.field_config.overrides[-1].matcher = dashboard.MatcherConfig(
        id_val=matcher["id"], options=matcher["options"]
    )
    return panel


def heatmap() -> Panel:
    """The whole distribution."""
    return density(
        "Latency distribution",
        "Requests by latency over time. Native histograms need Grafana 10 or newer.",
        "nibai_latency_seconds",
        cells(buckets(ENDPOINT)),
        unit="s",
    )


def narrowing() -> Panel:
    """How sure the audits became."""
    claimed = series("nibai_change_claim_ratio", **ONE_CHANGE, quantile="$quantile")
    panel = lines(
        "The interval narrows",
        "Speed-up at the chosen quantile as audit after audit saw it, beside the promise.",
        "nibai_change_speedup_ratio",
        over_time(at_quantile("estimate"), "speed-up"),
        over_time(at_quantile("low"), "low"),
        over_time(at_quantile("high"), "high"),
        over_time(f"max({claimed})", "claimed"),
        unit="suffix:x",
        width=16,
    )
    return promise(band(panel, "low", "speed-up", "high"), "claimed")


def costs() -> Panel:
    """Money."""
    panel = lines(
        "USD per 1k requests",
        "Cost of successful requests on both sides; the candidate with its interval.",
        "nibai_cost_usd_per_request",
        over_time(f"1000 * {cost('candidate', 'estimate')}", "candidate"),
        over_time(f"1000 * {cost('candidate', 'low')}", "low"),
        over_time(f"1000 * {cost('candidate', 'high')}", "high"),
        over_time(f"1000 * {cost('baseline', 'estimate')}", "baseline"),
        unit="currencyUSD",
        width=6,
    )
    band(panel, "low", "candidate", "high")
    return override(panel, "baseline", color=colours.fixed(colours.BASELINE))


def errors() -> Panel:
    """Whether speed was bought with failures."""
    every = rate("variant", "nibai_requests_total", endpoint="$endpoint")
    bad = rate("variant", "nibai_requests_total", 'outcome!="success"', endpoint="$endpoint")
    return lines(
        "Error ratio",
        "Errors and timeouts among all requests, by variant.",
        "nibai_requests_total",
        over_time(f"({bad} or 0 * {every}) / {every}", "{{variant}}"),
        unit="percentunit",
        width=6,
    )


def accelerators() -> Panel:
    """What it was served with: faster at the same use is another thing than faster at twice."""
    use = latest("variant", series("nibai_accelerator_use_ratio", endpoint="$endpoint"))
    return lines(
        "Accelerator use",
        "Share of the time that accelerators were busy, by variant, where a source tells it.",
        "nibai_accelerator_use_ratio",
        over_time(use, "{{variant}}"),
        unit="percentunit",
        width=6,
    )


def throughput() -> Panel:
    """How much was served."""
    return lines(
        "Requests per second",
        "Requests that ended, by variant and outcome.",
        "nibai_requests_total",
        over_time(
            rate("variant, outcome", "nibai_requests_total", endpoint="$endpoint"),
            "{{variant}} {{outcome}}",
        ),
        unit="reqps",
        width=6,
    )
