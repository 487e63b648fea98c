"""Did the answers change: flips beside their noise floor, distances, classes, validity."""

from __future__ import annotations

from typing import Any

from dashboards.grafana import colours, layout
from dashboards.grafana.layout import Row
from dashboards.grafana.panels import (
    Panel,
    band,
    bars,
    grid,
    joined,
    lines,
    merged,
    override,
    promise,
    sides,
    tile,
    verdict_tile,
)
from dashboards.grafana.promql import (
    ALL_TRAFFIC,
    BOUNDS,
    ONE_CHANGE,
    latest,
    prediction_claims,
    rate,
    series,
)
from dashboards.grafana.queries import now, over_time, rows
from dashboards.grafana.sdk import dashboard

UID = "nibai-drift"
THRESHOLD = "nibai_drift_threshold_ratio"
SEGMENT = 'segment=~"$segment"'
TOP = 20


def build() -> dict[str, Any]:
    """The dashboard."""
    since = series("nibai_change_effective_timestamp_seconds", endpoint="$endpoint")
    return layout.document(
        UID,
        "nibai · drift",
        "Whether the answers of an endpoint are still the same after a change.",
        [
            Row("", _tiles()),
            Row("Answers that changed", [_flips(), _excess()]),
            Row("Distances", [_distance(), _top()]),
            Row("Answers by class", [_classes(), _shares()]),
            Row("Form", [_length(), _invalid()]),
            Row("Traffic", [_volume(), _windows()]),
        ],
        variables=_variables(),
        markers=[
            layout.change_marker(latest("endpoint, change", since)),
            layout.window_marker("nibai", "endpoint:$endpoint"),
        ],
        since="now-7d",
    )


def _variables() -> list[dashboard.VariableModel]:
    changes = series("nibai_change_info", endpoint="$endpoint")
    flips = series("nibai_prediction_flip_ratio", **ONE_CHANGE)
    features = series("nibai_drift_distance_ratio", **ONE_CHANGE)
    return [
        layout.source_variable(),
        layout.label_variable("endpoint", "Endpoint", "nibai_change_info"),
        layout.label_variable("change", "Change", changes),
        layout.label_variable("segment", "Segment", flips, ALL_TRAFFIC),
        layout.label_variable("feature", "Feature or output", features),
    ]


def _tiles() -> list[Panel]:
    flips = _flip("nibai_prediction_flip_ratio", "estimate")
    floor = series(
        "nibai_prediction_self_flip_ratio", **ONE_CHANGE, side="baseline", bound="estimate"
    )
    return [
        verdict_tile(
            "Verdict of each claim about answers",
            "Claims that have a margin of flips.",
            "nibai_claim_verdict",
            now(latest("claim", prediction_claims(**ONE_CHANGE)), "{{claim}}"),
            width=9,
            named=True,
        ),
        tile(
            "Margin",
            "The share of changed answers that is allowed, by claim.",
            "nibai_prediction_margin_ratio",
            now(
                latest("claim", series("nibai_prediction_margin_ratio", **ONE_CHANGE)), "{{claim}}"
            ),
            unit="percentunit",
            width=5,
        ),
        tile(
            "Agreement",
            "Share of replayed or shadowed requests that both sides answer alike.",
            "nibai_prediction_flip_ratio",
            now(f"1 - {flips}"),
            unit="percentunit",
        ),
        tile(
            "Noise floor",
            "How often the baseline disagrees with itself.",
            "nibai_prediction_self_flip_ratio",
            now(f"max({floor})"),
            unit="percentunit",
        ),
        tile(
            "Pairs",
            "Pairs of answers that were compared.",
            "nibai_prediction_pairs_total",
            now(f"sum({series('nibai_prediction_pairs_total', **ONE_CHANGE)})"),
            width=4,
        ),
    ]


def _flip(name: str, bound: str) -> str:
    return f"max({series(name, SEGMENT, **ONE_CHANGE, bound=bound)})"


def _flips() -> Panel:
    floor = series(
        "nibai_prediction_self_flip_ratio", **ONE_CHANGE, side="baseline", bound="estimate"
    )
    margin = series("nibai_prediction_margin_ratio", **ONE_CHANGE)
    panel = lines(
        "Flips",
        "Answers that changed, with their interval, beside the baseline's own noise.",
        "nibai_prediction_flip_ratio",
        *[
            over_time(_flip("nibai_prediction_flip_ratio", bound), name)
            for bound, name in zip(BOUNDS, ("flips", "low", "high"), strict=True)
        ],
        over_time(f"max({floor})", "noise floor"),
        over_time(f"min({margin})", "margin"),
        unit="percentunit",
    )
    override(panel, "noise floor", color=colours.fixed(colours.BASELINE))
    return promise(band(panel, "low", "flips", "high"), "margin")


def _excess() -> Panel:
    margin = series("nibai_prediction_margin_ratio", **ONE_CHANGE)
    panel = lines(
        "Flips beyond noise",
        "What the change did beyond the baseline's own disagreement; the margin is for this.",
        "nibai_prediction_excess_flip_ratio",
        *[
            over_time(_flip("nibai_prediction_excess_flip_ratio", bound), name)
            for bound, name in zip(BOUNDS, ("excess", "low", "high"), strict=True)
        ],
        over_time(f"min({margin})", "margin"),
        unit="percentunit",
    )
    return promise(band(panel, "low", "excess", "high"), "margin")


def _distance() -> Panel:
    name = "nibai_drift_distance_ratio"
    panel = lines(
        "Distance of the chosen feature or output",
        "Between before and after, 0 is the same and 1 is apart; with its interval. Dashed: what "
        "is allowed, or for a score what is usual when nothing changed.",
        name,
        *[
            over_time(f"max({series(name, **ONE_CHANGE, feature='$feature', bound=bound)})", legend)
            for bound, legend in zip(BOUNDS, ("distance", "low", "high"), strict=True)
        ],
        over_time(f"max({series(THRESHOLD, **ONE_CHANGE, feature='$feature')})", "threshold"),
        unit="percentunit",
    )
    return promise(band(panel, "low", "distance", "high"), "threshold")


def _top() -> Panel:
    columns = {
        name: latest(
            "kind, feature", series("nibai_drift_distance_ratio", **ONE_CHANGE, bound=bound)
        )
        for bound, name in zip(BOUNDS, ("Distance", "Low", "High"), strict=True)
    }
    columns["Threshold"] = latest("kind, feature", series(THRESHOLD, **ONE_CHANGE))
    largest = f"topk({TOP}, {columns['Distance']})"
    panel = grid(
        "What drifted most",
        f"The {TOP} largest distances among features and outputs, beside their thresholds.",
        "nibai_drift_distance_ratio",
        rows(largest),
        *[rows(f"{columns[name]} and on (kind, feature) {largest}") for name in list(columns)[1:]],
        unit="percentunit",
        width=12,
    )
    return merged(panel, columns, ("feature", "kind"))


def _classes() -> Panel:
    columns = {side: _share(side) for side in ("baseline", "candidate")}
    panel = bars(
        "Answers before and after",
        "Share of each class among the answers; the 20 largest, and other.",
        "nibai_prediction_share_ratio",
        "class",
        *[rows(expression) for expression in columns.values()],
        unit="percentunit",
    )
    return sides(joined(panel, "class", columns, number=False))


def _shares() -> Panel:
    return lines(
        "Classes of the candidate over time",
        "Share of each class among the new answers.",
        "nibai_prediction_share_ratio",
        over_time(_share("candidate"), "{{class}}"),
        unit="percentunit",
    )


def _share(side: str) -> str:
    return latest("class", series("nibai_prediction_share_ratio", **ONE_CHANGE, side=side))


def _length() -> Panel:
    panel = lines(
        "Length of answers",
        "New answers over old ones; 1 is as long as before.",
        "nibai_response_length_ratio",
        *[
            over_time(
                f"max({series('nibai_response_length_ratio', **ONE_CHANGE, bound=bound)})", name
            )
            for bound, name in zip(BOUNDS, ("length", "low", "high"), strict=True)
        ],
        unit="suffix:x",
    )
    return band(panel, "low", "length", "high")


def _invalid() -> Panel:
    invalid = series("nibai_prediction_invalid_ratio", **ONE_CHANGE)
    panel = lines(
        "Invalid answers",
        "Answers that are empty, refused, cut off or no valid JSON where JSON was asked for.",
        "nibai_prediction_invalid_ratio",
        over_time(latest("side", invalid), "{{side}}"),
        unit="percentunit",
    )
    return sides(panel)


def _volume() -> Panel:
    return lines(
        "Requests per second",
        "Requests that ended, by variant.",
        "nibai_requests_total",
        over_time(rate("variant", "nibai_requests_total", endpoint="$endpoint"), "{{variant}}"),
        unit="reqps",
    )


def _windows() -> Panel:
    since = series("nibai_change_effective_timestamp_seconds", **ONE_CHANGE)
    requests = series("nibai_change_observed_requests", **ONE_CHANGE)
    columns = {
        "Requests": latest("side", requests),
        "Change took effect": f"0 * {latest('side', requests)} + on () group_left () "
        f"max({since}) * 1000",
    }
    panel = grid(
        "What was compared",
        "Requests on both sides of the newest audit; the candidate's side begins with the change.",
        "nibai_change_observed_requests",
        *[rows(expression) for expression in columns.values()],
        unit="short",
        width=12,
    )
    joined(panel, "side", columns, number=False)
    return override(panel, "Change took effect", unit="dateTimeAsIso")
