"""One change by quantile, by latency and by load."""

from __future__ import annotations

from dashboards.grafana.panels import (
    Panel,
    band,
    curve,
    joined,
    override,
    promise,
    sides,
)
from dashboards.grafana.promql import (
    ONE_CHANGE,
    claimed,
    latest,
    series,
    speedup,
)
from dashboards.grafana.queries import rows
from dashboards.grafana.sdk import common


def by_quantile() -> Panel:
    """Where along the distribution it is faster."""
    where = 'segment=~"$segment"'
    columns = {
        "speed-up": speedup("quantile", "estimate", where, **ONE_CHANGE),
        "low": speedup("quantile", "low", where, **ONE_CHANGE),
        "high": speedup("quantile", "high", where, **ONE_CHANGE),
        "claimed": claimed("quantile", **ONE_CHANGE),
    }
    panel = curve(
        "Speed-up by quantile",
        "Measured with its interval, beside the promise; above 1 is faster.",
        "nibai_change_speedup_ratio",
        "quantile",
        *[rows(expression) for expression in columns.values()],
        unit="suffix:x",
    )
    joined(panel, "quantile", columns)
    return promise(band(panel, "low", "speed-up", "high"), "claimed")


def shift() -> Panel:
    """The same in seconds, which is what users feel."""
    columns = {
        name: latest(
            "quantile",
            series("nibai_change_shift_seconds", **ONE_CHANGE, metric="$metric", bound=bound),
        )
        for name, bound in (("saved", "estimate"), ("low", "low"), ("high", "high"))
    }
    panel = curve(
        "Seconds saved by quantile",
        "Before minus after; below 0 is lost.",
        "nibai_change_shift_seconds",
        "quantile",
        *[rows(expression) for expression in columns.values()],
        unit="s",
    )
    return band(joined(panel, "quantile", columns), "low", "saved", "high")


def ecdf() -> Panel:
    """Both distributions as curves."""
    chosen = {**ONE_CHANGE, "metric": "$metric"}
    columns = {
        side: latest("le", series("nibai_change_ecdf_ratio", 'le!="+Inf"', **chosen, side=side))
        for side in ("baseline", "candidate")
    }
    panel = curve(
        "Share of requests up to a latency",
        "The line further left and up is the faster side. Logarithmic seconds.",
        "nibai_change_ecdf_ratio",
        "le",
        *[rows(expression) for expression in columns.values()],
        unit="percentunit",
    )
    joined(panel, "le", columns)
    axis = common.ScaleDistributionConfig(type_val=common.ScaleDistribution.LOG, log=10)
    return sides(override(panel, "le", unit="s", custom__scaleDistribution=axis))


def load() -> Panel:
    """Whether the speed-up survives load."""
    middle = series("nibai_load_requests_per_second", **ONE_CHANGE)
    columns = {
        "requests per second": latest("load_bin", middle),
        **{
            side: latest(
                "load_bin",
                series("nibai_load_latency_seconds", **ONE_CHANGE, side=side, quantile="$quantile"),
            )
            for side in ("baseline", "candidate")
        },
    }
    panel = curve(
        "Latency by load",
        "At the chosen quantile (p50 or p99), in five bins of load, the same on both sides.",
        "nibai_load_latency_seconds",
        "requests per second",
        *[rows(expression) for expression in columns.values()],
        unit="s",
    )
    joined(panel, "load_bin", columns, number=False, sort="requests per second")
    override(panel, "load_bin", custom__hideFrom={"legend": True, "tooltip": True, "viz": True})
    return sides(override(panel, "requests per second", unit="reqps"))
