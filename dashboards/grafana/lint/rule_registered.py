"""Every metric and label in a query is one that nibai exports."""

from __future__ import annotations

from collections.abc import Iterator

from dashboards.grafana.board import Board
from dashboards.grafana.lint.promql import Asked, BadExpressionError, read
from nibai.metric_registry import REGISTRY, Exported, MetricType

ADDED = frozenset({"instance", "job"})
"""Labels that Prometheus adds."""

SUFFIXES = ("_bucket", "_count", "_sum")


def check(board: Board) -> Iterator[tuple[str, str]]:
    """Names that no series has."""
    for expression in board.expressions():
        for text in board.filled(expression.text):
            try:
                asked = read(text)
            except BadExpressionError:
                break  # said by the rule of PromQL
            found = sorted({*_judge(asked)})
            yield from ((expression.where, fact) for fact in found)
            if found:
                break


def exported(name: str) -> Exported | None:
    """The family of a series' name; a classic histogram has three series."""
    if name in REGISTRY:
        return REGISTRY[name]
    for suffix in SUFFIXES:
        family = REGISTRY.get(name.removesuffix(suffix)) if name.endswith(suffix) else None
        if family is not None and family.type is MetricType.HISTOGRAM:
            return family
    return None


def _judge(asked: Asked) -> Iterator[str]:
    known: set[str] = {*ADDED}
    for selector in asked.selectors:
        family = exported(selector.name)
        if family is None:
            yield f"{selector.name} is not exported: see nibai/metric_registry.py"
            return
        labels = {*family.labels, *ADDED} | ({"le"} if selector.name.endswith("_bucket") else set())
        known |= labels
        for label in sorted({*selector.labels} - labels):
            yield f"{selector.name} has no label {label}"
    for label in sorted(asked.labels - known):
        yield f"groups by {label}, which no metric of the query has"
