"""What an expression asks for, read by `promql-parser` (the only module that imports it)."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import promql_parser as parser

RATES = frozenset({"rate", "irate", "increase"})


class BadExpressionError(ValueError):
    """An expression that is no PromQL."""


@dataclass(frozen=True, slots=True)
class Selector:
    """One metric in an expression: labels it is filtered by, functions and `by` around it."""

    name: str
    labels: tuple[str, ...]
    functions: tuple[str, ...]
    aggregated: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """All of one expression; `labels` are those it groups or matches by."""

    selectors: tuple[Selector, ...]
    labels: frozenset[str]


@functools.lru_cache(maxsize=4096)
def read(expression: str) -> Asked:
    """Parse an expression; BadExpressionError says what is wrong with it."""
    try:
        tree = parser.parse(expression)
    except ValueError as error:
        raise BadExpressionError(" ".join(str(error).split())) from error
    found = list(_walk(tree, (), aggregated=False))
    selectors = tuple(one for one in found if isinstance(one, Selector))
    return Asked(selectors, frozenset(one for one in found if isinstance(one, str)))


def _walk(
    node: parser.Expr, functions: tuple[str, ...], *, aggregated: bool
) -> Iterator[Selector | str]:
    match node:
        case parser.VectorSelector():
            matchers = tuple(one.name for one in node.matchers.matchers)
            yield Selector(node.name or "", matchers, functions, aggregated)
        case parser.MatrixSelector():
            yield from _walk(node.vector_selector, functions, aggregated=aggregated)
        case parser.Call():
            inside = (*functions, node.func.name)
            for argument in node.args:
                yield from _walk(argument, inside, aggregated=aggregated)
        case parser.AggregateExpr():
            if node.modifier is not None:
                yield from node.modifier.labels
            yield from _walk(node.expr, functions, aggregated=True)
        case parser.BinaryExpr():
            if node.modifier is not None and node.modifier.matching is not None:
                yield from node.modifier.matching.labels
            yield from _walk(node.lhs, functions, aggregated=aggregated)
            yield from _walk(node.rhs, functions, aggregated=aggregated)
        case parser.ParenExpr() | parser.UnaryExpr() | parser.SubqueryExpr():
            yield from _walk(node.expr, functions, aggregated=aggregated)
        case _:
            return
