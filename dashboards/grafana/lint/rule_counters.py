"""A counter alone says nothing: it is shown as a rate or increase, added up."""

from __future__ import annotations

from collections.abc import Iterator

from dashboards.grafana.board import Board
from dashboards.grafana.lint.promql import RATES, BadExpressionError, read
from nibai.metric_registry import REGISTRY, MetricType


def check(board: Board) -> Iterator[tuple[str, str]]:
    """Counters without a rate around them, or rates of single processes."""
    for _, expression in board.panel_expressions():
        try:
            asked = [read(text) for text in board.filled(expression.text)]
        except BadExpressionError:
            continue  # said by the rule of PromQL
        for selector in (one for found in asked for one in found.selectors):
            exported = REGISTRY.get(selector.name)
            if exported is None or exported.type is not MetricType.COUNTER:
                continue
            if not RATES & {*selector.functions}:
                yield expression.where, f"{selector.name} is a counter: put rate() around it"
            elif not selector.aggregated:
                yield (
                    expression.where,
                    f"{selector.name} is not aggregated: put sum by () around it",
                )
