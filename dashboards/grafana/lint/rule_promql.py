"""Every expression is PromQL, variables filled in."""

from __future__ import annotations

from collections.abc import Iterator

from dashboards.grafana.board import Board
from dashboards.grafana.lint.promql import BadExpressionError, read


def check(board: Board) -> Iterator[tuple[str, str]]:
    """Expressions that Prometheus would refuse."""
    for expression in board.expressions():
        for text in board.filled(expression.text):
            try:
                read(text)
            except BadExpressionError as error:
                yield expression.where, f"is no PromQL ({error}): {text}"
                break
