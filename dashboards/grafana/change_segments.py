"""One change by segment, and what its traffic explains."""

from __future__ import annotations

from dashboards.grafana import colours
from dashboards.grafana.panels import (
    Panel,
    curve,
    defaults,
    grid,
    joined,
    merged,
    override,
    tile,
)
from dashboards.grafana.promql import (
    ONE_CHANGE,
    adjusted,
    latest,
    series,
    speedup,
)
from dashboards.grafana.queries import now, rows


def segments() -> Panel:
    """Every segment by itself."""
    shares = {
        side: latest("segment", series("nibai_segment_share_ratio", **ONE_CHANGE, side=side))
        for side in ("baseline", "candidate")
    }
    seen = series("nibai_change_observed_requests", **ONE_CHANGE, side="candidate")
    ratio = {
        bound: speedup("segment", bound, 'segment!=""', **ONE_CHANGE, quantile="$quantile")
        for bound in ("estimate", "low", "high")
    }
    columns = {
        "Requests": f"({shares['candidate']}) * on () group_left () max({seen})",
        "Share before": shares["baseline"],
        "Share after": shares["candidate"],
        "Speed-up": ratio["estimate"],
        "Low": ratio["low"],
        "High": ratio["high"],
    }
    panel = grid(
        "Segments",
        "Speed-up of each segment at the chosen quantile. Segments that disagree with the whole "
        "are why a mean cannot be trusted.",
        "nibai_segment_share_ratio",
        *[rows(expression) for expression in columns.values()],
        unit="suffix:x",
        width=12,
    )
    joined(panel, "segment", columns, number=False)
    override(panel, "Requests", unit="short", decimals=0)
    override(panel, "Share before", unit="percentunit")
    return override(panel, "Share after", unit="percentunit")


def adjustment() -> Panel:
    """What changed traffic explains."""
    columns = {
        name: latest("quantile", adjusted(adjustment, **ONE_CHANGE, segment="", bound="estimate"))
        for name, adjustment in (("raw", "raw"), ("like for like", "like_for_like"))
    }
    panel = curve(
        "Raw and like for like",
        "The gap is what changed traffic explains, not the optimization.",
        "nibai_change_speedup_ratio",
        "quantile",
        *[rows(expression) for expression in columns.values()],
        unit="suffix:x",
        width=8,
    )
    joined(panel, "quantile", columns)
    override(panel, "raw", color=colours.fixed(colours.BASELINE))
    return override(panel, "like for like", color=colours.fixed(colours.CANDIDATE))


def simpson() -> Panel:
    """A warning when the mix turns the answer round."""
    raw, like = (
        latest("quantile", adjusted(one, **ONE_CHANGE, segment="", bound="estimate"))
        for one in ("raw", "like_for_like")
    )
    panel = tile(
        "Simpson",
        "Whether the raw and the like-for-like ratio lie on different sides of 1 at some quantile.",
        "nibai_change_speedup_ratio",
        now(f"max(({raw} >= bool 1) != bool ({like} >= bool 1))"),
        unit="none",
        width=4,
    )
    defaults(panel).mappings = [
        *colours.words(_0=("agree", "text"), _1=("DISAGREE: traffic changed", "orange")),
        *colours.no_traffic(),
    ]
    return panel


def kinds() -> Panel:
    """What changed, and since when."""
    since = series("nibai_change_effective_timestamp_seconds", **ONE_CHANGE)
    kinds = latest("kind", series("nibai_change_info", **ONE_CHANGE))
    panel = grid(
        "What changed",
        "Kinds of the change; several at once cannot be told apart.",
        "nibai_change_info",
        rows(f"1000 * {kinds} * on () group_left () max({since})"),
        unit="dateTimeAsIso",
        width=8,
    )
    return merged(panel, ["Since"], ("kind",))
