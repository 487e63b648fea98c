"""One change: is it really faster, at which quantile, in which segment, at which load."""

from __future__ import annotations

from typing import Any

from dashboards.grafana import change_curves, change_segments, change_tiles, change_time, layout
from dashboards.grafana.layout import Row
from dashboards.grafana.promql import (
    ALL_TRAFFIC,
    ONE_CHANGE,
    latest,
    series,
)
from dashboards.grafana.sdk import dashboard

UID = "nibai-change-audit"


def build() -> dict[str, Any]:
    """The dashboard."""
    since = series("nibai_change_effective_timestamp_seconds", endpoint="$endpoint")
    return layout.document(
        UID,
        "nibai · change audit",
        "One change of one endpoint: the promise beside what production shows, with intervals.",
        [
            Row("", [*change_tiles.verdicts(), *change_tiles.figures()]),
            Row("Is it faster, and where?", [change_curves.by_quantile(), change_curves.shift()]),
            Row("Before and after", [change_curves.ecdf(), change_time.latency()]),
            Row(
                "Segments",
                [
                    change_segments.segments(),
                    change_segments.adjustment(),
                    change_segments.simpson(),
                ],
            ),
            Row("Load", [change_curves.load(), change_time.heatmap()]),
            Row("How sure", [change_time.narrowing(), change_segments.kinds()]),
            Row(
                "Cost, errors, throughput, accelerators",
                [
                    change_time.costs(),
                    change_time.errors(),
                    change_time.throughput(),
                    change_time.accelerators(),
                ],
            ),
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
    return [
        layout.source_variable(),
        layout.label_variable("endpoint", "Endpoint", "nibai_change_info"),
        layout.label_variable("change", "Change", changes),
        layout.label_variable(
            "segment", "Segment", series("nibai_segment_share_ratio", **ONE_CHANGE), ALL_TRAFFIC
        ),
        layout.metric_variable(),
        layout.choice_variable("quantile", "Quantile", ("0.99", "0.9", "0.5")),
    ]
