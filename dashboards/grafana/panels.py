"""Our panels: small functions over Grafana's models that set what those leave out.

Every panel has a title, a description that ends with its metric, a unit and a data source; ids and
places in the grid come from `layout`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dashboards.grafana import colours
from dashboards.grafana.queries import SOURCE
from dashboards.grafana.sdk import (
    barchart,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
    trend,
)

Query = prometheus.Dataquery
Panel = dashboard.Panel
Override = dashboard.DashboardFieldConfigSourceOverrides
ANY_PLUGIN_VERSION = "10.0.0"
"""The oldest Grafana that these panels are written for; it migrates them upwards."""


def panel(
    kind: str,
    title: str,
    text: str,
    metric: str,
    queries: Sequence[Query],
    *,
    unit: str,
    options: object,
    custom: object | None = None,
    width: int = 12,
    height: int = 8,
) -> Panel:
    """What all panels have in common; `metric` is the one that the description ends with."""
    for place, query in enumerate(queries):
        query.ref_id = chr(ord("A") + place)
    field = dashboard.FieldConfig(
        unit=unit, custom=custom, no_value="No data", mappings=colours.no_traffic(),
        color=colours.shades(),
    )  # fmt: skip
    return Panel(
        type_val=kind,
        title=title,
        description=f"{text} Metric: {metric}",
        plugin_version=ANY_PLUGIN_VERSION,
        datasource=SOURCE,
        targets=list(queries),
        options=options,
        field_config=dashboard.FieldConfigSource(defaults=field, overrides=[]),
        grid_pos=dashboard.GridPos(h=height, w=width),
    )


def tile(
    title: str,
    text: str,
    metric: str,
    *queries: Query,
    unit: str = "short",
    width: int = 3,
    named: bool = False,
) -> Panel:
    """The newest values as large numbers; `named` where one query returns several."""
    options = stat.Options(
        graph_mode=common.BigValueGraphMode.NONE,
        color_mode=common.BigValueColorMode.VALUE,
        text_mode=(
            common.BigValueTextMode.VALUE_AND_NAME
            if named or len(queries) > 1
            else common.BigValueTextMode.VALUE
        ),
        reduce_options=common.ReduceDataOptions(values=False, calcs=["lastNotNull"], fields=""),
    )
    found = panel(
        "stat", title, text, metric, queries, unit=unit, options=options, width=width, height=4
    )
    defaults(found).color = colours.fixed("text")
    return found


def verdict_tile(
    title: str, text: str, metric: str, *queries: Query, width: int = 4, named: bool = False
) -> Panel:
    """Verdicts as words in their colours."""
    found = tile(title, text, metric, *queries, unit="none", width=width, named=named)
    assert isinstance(found.options, stat.Options)  # noqa: S101 - for the type checker
    found.options.color_mode = common.BigValueColorMode.BACKGROUND
    return judged(found)


def lines(
    title: str,
    text: str,
    metric: str,
    *queries: Query,
    unit: str,
    width: int = 12,
    height: int = 8,
) -> Panel:
    """Series over time."""
    options = timeseries.Options(legend=legend(), tooltip=tooltip())
    return panel(
        "timeseries", title, text, metric, queries,
        unit=unit, options=options, custom=graph(), width=width, height=height,
    )  # fmt: skip


def curve(
    title: str, text: str, metric: str, x: str, *queries: Query, unit: str, width: int = 12
) -> Panel:
    """Columns of joined tables over a number that is not time."""
    options = trend.Options(legend=legend(), tooltip=tooltip(), x_field=x)
    return panel(
        "trend", title, text, metric, queries,
        unit=unit, options=options, custom=graph(), width=width,
    )  # fmt: skip


def bars(title: str, text: str, metric: str, x: str, *queries: Query, unit: str) -> Panel:
    """Columns of joined tables side by side per name."""
    options = barchart.Options(
        x_field=x,
        legend=legend(),
        tooltip=tooltip(),
        orientation=common.VizOrientation.HORIZONTAL,
        show_value=common.VisibilityMode.AUTO,
        stacking=common.StackingMode.NONE,
    )
    return panel(
        "barchart", title, text, metric, queries,
        unit=unit, options=options, custom=barchart.FieldConfig(),
    )  # fmt: skip


def grid(title: str, text: str, metric: str, *queries: Query, unit: str, width: int = 24) -> Panel:
    """A table."""
    options = table.Options(show_header=True, cell_height=common.TableCellHeight.SM)
    found = panel(
        "table", title, text, metric, queries,
        unit=unit, options=options, custom=common.TableFieldOptions(), width=width,
    )  # fmt: skip
    defaults(found).color = colours.fixed("text")
    return found


def timeline(title: str, text: str, metric: str, *queries: Query, width: int = 12) -> Panel:
    """Verdicts over time, a row each."""
    options = statetimeline.Options(
        show_value=common.VisibilityMode.AUTO, legend=legend(), tooltip=tooltip()
    )
    return judged(
        panel(
            "state-timeline", title, text, metric, queries,
            unit="none", options=options, custom=statetimeline.FieldConfig(), width=width,
        )
    )  # fmt: skip


def density(title: str, text: str, metric: str, *queries: Query, unit: str) -> Panel:
    """A distribution over time."""
    options = heatmap.Options(
        calculate=False,
        color=heatmap.HeatmapColorOptions(
            mode=heatmap.HeatmapColorMode.SCHEME, scheme="Blues", exponent=0.5, steps=64
        ),
        y_axis=heatmap.YAxisConfig(unit=unit, axis_placement=common.AxisPlacement.LEFT),
        legend=heatmap.HeatmapLegend(show=True),
        tooltip=heatmap.HeatmapTooltip(mode=common.TooltipDisplayMode.SINGLE, y_histogram=True),
    )
    return panel(
        "heatmap", title, text, metric, queries,
        unit=unit, options=options, custom=heatmap.FieldConfig(),
    )  # fmt: skip


# -- what panels are given afterwards ------------------------------------------------------------


def defaults(of: Panel) -> dashboard.FieldConfig:
    """The settings of a panel's fields."""
    assert of.field_config is not None  # noqa: S101 - `panel` sets both
    assert of.field_config.defaults is not None  # noqa: S101 - same
    return of.field_config.defaults


def override(of: Panel, name: str, **properties: object) -> Panel:
    """Settings of the field of one name; a dot in a property's name is written `__`."""
    assert of.field_config is not None  # noqa: S101 - `panel` sets it
    values = [
        dashboard.DynamicConfigValue(id_val=key.replace("__", "."), value=value)
        for key, value in properties.items()
    ]
    of.field_config.overrides = [
        *(of.field_config.overrides or []),
        Override(matcher=dashboard.MatcherConfig(id_val="byName", options=name), properties=values),
    ]
    return of


def judged(of: Panel) -> Panel:
    """Values are verdict codes."""
    defaults(of).mappings = [*colours.verdicts(), *colours.no_traffic()]
    defaults(of).color = colours.fixed("text")
    return of


def band(of: Panel, low: str, middle: str, high: str, colour: str = colours.CANDIDATE) -> Panel:
    """An interval as a band: `high` is filled down to `low`, `middle` is a line."""
    edge: dict[str, object] = {"custom__lineWidth": 0, "color": colours.fixed(colour)}
    override(of, high, **edge, custom__fillBelowTo=low, custom__fillOpacity=20)
    override(of, low, **edge)
    return override(of, middle, custom__lineWidth=2, color=colours.fixed(colour))


def promise(of: Panel, name: str) -> Panel:
    """What was promised or allowed: a dashed line."""
    return override(
        of, name, color=colours.fixed(colours.PROMISE),
        custom__lineStyle=common.LineStyle(fill="dash", dash=[10, 10]),
    )  # fmt: skip


def sides(of: Panel) -> Panel:
    """The two sides in their colours."""
    override(of, "baseline", color=colours.fixed(colours.BASELINE))
    return override(of, "candidate", color=colours.fixed(colours.CANDIDATE))


def joined(
    of: Panel, key: str, names: Iterable[str], *, number: bool = True, sort: str = ""
) -> Panel:
    """Tables of one value per key, side by side; `names` in the order of the queries.

    A key that is a number is sorted as one, which `trend` needs; `sort` is another column.
    """
    columns = _values(names)
    steps = [_step("joinByField", byField=key, mode="outer")]
    if number:
        conversions = [{"targetField": key, "destinationType": "number"}]
        steps.append(_step("convertFieldType", conversions=conversions, fields={}))
    hidden = {f"Time {place}": True for place in range(1, len(columns) + 1)} | {"Time": True}
    steps.append(_step("organize", excludeByName=hidden, renameByName=columns, indexByName={}))
    steps.append(_step("sortBy", fields={}, sort=[{"field": sort or key}]))
    of.transformations = steps
    return of


def merged(of: Panel, names: Iterable[str], order: Sequence[str] = ()) -> Panel:
    """Tables with the same labels as one table; `order` comes first."""
    columns = _values(names)
    places = {name: place for place, name in enumerate([*order, *columns])}
    of.transformations = [
        _step("merge"),
        _step("organize", excludeByName={"Time": True}, renameByName=columns, indexByName=places),
    ]
    return of


def _values(names: Iterable[str]) -> dict[str, str]:
    # The value of the query A is the column “Value #A”, and “Value” when it is the only one.
    given = list(names)
    if len(given) == 1:
        return {"Value": given[0]}
    return {f"Value #{chr(ord('A') + place)}": name for place, name in enumerate(given)}


def graph() -> common.GraphFieldConfig:
    """Thin lines without fill; gaps of a scrape or two are bridged."""
    return common.GraphFieldConfig(
        draw_style=common.GraphDrawStyle.LINE,
        line_width=1,
        fill_opacity=0,
        show_points=common.VisibilityMode.AUTO,
        span_nulls=180_000,
    )


def legend() -> common.VizLegendOptions:
    """A list under the chart."""
    return common.VizLegendOptions(
        display_mode=common.LegendDisplayMode.LIST,
        placement=common.LegendPlacement.BOTTOM,
        show_legend=True,
        calcs=[],
    )


def tooltip() -> common.VizTooltipOptions:
    """All series at one place, the largest first."""
    return common.VizTooltipOptions(
        mode=common.TooltipDisplayMode.MULTI, sort=common.SortOrder.DESCENDING
    )


def _step(kind: str, **options: object) -> dashboard.DataTransformerConfig:
    return dashboard.DataTransformerConfig(id_val=kind, options=options)
