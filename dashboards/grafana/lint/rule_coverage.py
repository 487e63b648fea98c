"""What nibai exports for users is seen somewhere; the rest is marked internal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dashboards.grafana.board import Board
from dashboards.grafana.lint.promql import BadExpressionError, read
from dashboards.grafana.lint.rule_registered import exported
from nibai.metric_registry import REGISTRY


def check_all(boards: Sequence[Board]) -> Iterator[tuple[str, str]]:
    """Exported metrics that no dashboard shows."""
    shown = {name for board in boards for name in _names(board)}
    for name, family in REGISTRY.items():
        if name not in shown and not family.internal:
            yield name, "is exported and on no dashboard: show it or mark it internal"


def _names(board: Board) -> Iterator[str]:
    for expression in board.expressions():
        for text in board.filled(expression.text):
            try:
                asked = read(text)
            except BadExpressionError:
                break  # said by the rule of PromQL
            for selector in asked.selectors:
                family = exported(selector.name)
                if family is not None:
                    yield family.name
