"""What a panel asks of Prometheus."""

from __future__ import annotations

from dashboards.grafana.sdk import common, prometheus

SOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")


def over_time(expression: str, legend: str = "") -> prometheus.Dataquery:
    """A range query."""
    return prometheus.Dataquery(
        datasource=SOURCE,
        editor_mode=prometheus.QueryEditorMode.CODE,
        expr=expression,
        legend_format=legend or "__auto",
        range_val=True,
        instant=False,
    )


def now(expression: str, legend: str = "") -> prometheus.Dataquery:
    """An instant query."""
    return prometheus.Dataquery(
        datasource=SOURCE,
        editor_mode=prometheus.QueryEditorMode.CODE,
        expr=expression,
        legend_format=legend or "__auto",
        range_val=False,
        instant=True,
    )


def rows(expression: str) -> prometheus.Dataquery:
    """An instant query as a table: labels and the value are columns."""
    query = now(expression)
    query.format_val = prometheus.PromQueryFormat.TABLE
    return query


def cells(expression: str) -> prometheus.Dataquery:
    """A range query of a distribution, for a heatmap."""
    query = over_time(expression, "{{le}}")
    query.format_val = prometheus.PromQueryFormat.HEATMAP
    return query
