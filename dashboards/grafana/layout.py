"""A whole dashboard: rows of panels, variables, change markers; and its text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dashboards.grafana.queries import SOURCE
from dashboards.grafana.sdk import JSONEncoder, common, dashboard, variants
from nibai.conventions import METRICS

TAG = "nibai"
SCHEMA_VERSION = 39
"""Grafana 10's; later ones migrate it when they load it."""

GRID = 24


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading; an empty title has none."""

    title: str
    panels: Sequence[dashboard.Panel]


def document(
    uid: str,
    title: str,
    text: str,
    rows: Iterable[Row],
    *,
    variables: Sequence[dashboard.VariableModel],
    markers: Sequence[dashboard.AnnotationQuery],
    since: str,
) -> dict[str, Any]:
    """A dashboard as Grafana reads it."""
    whole = dashboard.Dashboard(
        uid=uid,
        title=title,
        description=text,
        tags=[TAG],
        timezone="browser",
        editable=False,
        graph_tooltip=dashboard.DashboardCursorSync.CROSSHAIR,
        time=dashboard.DashboardDashboardTime(from_val=since, to="now"),
        refresh="1m",
        schema_version=SCHEMA_VERSION,
        version=1,
        panels=_placed(rows),
        templating=dashboard.DashboardDashboardTemplating(list_val=list(variables)),
        annotations=dashboard.AnnotationContainer(list_val=list(markers)),
        links=[_other_dashboards()],
    )
    found: dict[str, Any] = json.loads(json.dumps(whole, cls=JSONEncoder))
    for marker in found["annotations"]["list"]:
        # The builder would move the switch into a menu, which Grafana 10 does not have.
        marker.pop("placement", None)
    return found


def written(found: dict[str, Any]) -> str:
    """The text of a dashboard's file."""
    return json.dumps(found, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _placed(rows: Iterable[Row]) -> list[dashboard.Panel | dashboard.RowPanel]:
    found: list[dashboard.Panel | dashboard.RowPanel] = []
    top = 0
    for row in rows:
        if row.title:
            place = dashboard.GridPos(x=0, y=top, w=GRID, h=1)
            number = len(found) + 1
            found.append(
                dashboard.RowPanel(id_val=number, title=row.title, grid_pos=place, panels=[])
            )
            top += 1
        left = height = 0
        for panel in row.panels:
            assert panel.grid_pos is not None  # noqa: S101 - our panels have a size
            if left + panel.grid_pos.w > GRID:
                left, top, height = 0, top + height, 0
            panel.id_val = len(found) + 1
            panel.grid_pos.x, panel.grid_pos.y = left, top
            left, height = left + panel.grid_pos.w, max(height, panel.grid_pos.h)
            found.append(panel)
        top += height
    return found


def _other_dashboards() -> dashboard.DashboardLink:
    return dashboard.DashboardLink(
        title="nibai",
        type_val=dashboard.DashboardLinkType.DASHBOARDS,
        icon="dashboard",
        tags=[TAG],
        include_vars=True,
        keep_time=True,
    )


# -- variables -----------------------------------------------------------------------------------


def source_variable() -> dashboard.VariableModel:
    """Which Prometheus."""
    return dashboard.VariableModel(
        type_val=dashboard.VariableType.DATASOURCE,
        name="datasource",
        label="Data source",
        query="prometheus",
        refresh=dashboard.VariableRefresh.ON_DASHBOARD_LOAD,
    )


def label_variable(
    name: str, text: str, selector: str, all_value: str = ""
) -> dashboard.VariableModel:
    """The values of a label; with `all_value` also one named All, which stands for that."""
    query = f"label_values({selector}, {name})"
    return dashboard.VariableModel(
        type_val=dashboard.VariableType.QUERY,
        name=name,
        label=text,
        datasource=SOURCE,
        query={"query": query, "refId": f"variable-{name}"},
        definition=query,
        refresh=dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=dashboard.VariableSort.ALPHABETICAL_ASC,
        include_all=bool(all_value),
        all_value=all_value or None,
        current=_option("All", "$__all") if all_value else None,
    )


def choice_variable(name: str, text: str, values: Sequence[str]) -> dashboard.VariableModel:
    """One of fixed values; the first is chosen."""
    options = [_option(value, value) for value in values]
    for other in options[1:]:
        other.selected = False
    return dashboard.VariableModel(
        type_val=dashboard.VariableType.CUSTOM,
        name=name,
        label=text,
        query=",".join(values),
        options=options,
        current=options[0],
    )


def metric_variable() -> dashboard.VariableModel:
    """Which time is looked at."""
    times = [metric.name for metric in METRICS.values() if metric.unit == "s"]
    return choice_variable("metric", "Metric", times)


def _option(text: str, value: str) -> dashboard.VariableOption:
    return dashboard.VariableOption(selected=True, text=text, value=value)


# -- markers -------------------------------------------------------------------------------------


def change_marker(expression: str) -> dashboard.AnnotationQuery:
    """Changes as marks at the time that is the value of a series; needs no token of Grafana."""
    return dashboard.AnnotationQuery(
        name="Changes",
        datasource=SOURCE,
        enable=True,
        icon_color="purple",
        # Milliseconds: the value of the series is the time of the mark.
        expr=f"{expression} * 1000",
        step="60s",
        title_format="{{endpoint}}",
        text_format="{{change}}",
        tag_keys="endpoint,change",
        use_value_for_time=True,
    )


def window_marker(*tags: str) -> dashboard.AnnotationQuery:
    """Windows and verdicts that nibai itself wrote into Grafana."""
    return dashboard.AnnotationQuery(
        name="Windows",
        datasource=common.DataSourceRef(type_val="grafana", uid="-- Grafana --"),
        enable=True,
        icon_color="blue",
        target=_Tagged(tags),
        type_val="tags",
    )


class _Tagged(variants.Dataquery):
    def __init__(self, tags: Sequence[str]) -> None:
        self.tags = tags

    def to_json(self) -> dict[str, object]:
        return {"limit": 100, "matchAny": False, "tags": list(self.tags), "type": "tags"}
