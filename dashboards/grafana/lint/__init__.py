"""The offline lint of dashboards: one rule a file, judged without a Grafana.

A rule is a module with `check(board)`, which yields (where, fact); `rule_coverage` looks at all
dashboards together. A panel is let off a rule only with a reason, in `ALLOWED`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dashboards.grafana.board import Board
from dashboards.grafana.lint import (
    rule_counters,
    rule_coverage,
    rule_description,
    rule_grid,
    rule_ids,
    rule_plugin_version,
    rule_promql,
    rule_rate_interval,
    rule_registered,
    rule_settings,
    rule_source,
    rule_targets,
    rule_title,
    rule_unit,
    rule_variables,
)
from dashboards.grafana.lint.problem import Problem

RULES = {
    module.__name__.rpartition("rule_")[2]: module.check
    for module in (
        rule_source, rule_title, rule_description, rule_unit, rule_targets, rule_rate_interval,
        rule_counters, rule_settings, rule_ids, rule_variables, rule_plugin_version, rule_grid,
        rule_promql, rule_registered,
    )
}  # fmt: skip
"""Rules of one dashboard, by name."""

ALLOWED = {
    ("drift.json", "counters", "“Pairs”"): "the number of pairs behind a verdict, not their rate",
}
"""(file, rule, part of where) that is let off, and why."""


def problems(
    texts: Mapping[str, str],
    allowed: Mapping[tuple[str, str, str], str] = ALLOWED,
    *,
    whole: bool = True,
) -> list[Problem]:
    """Everything wrong with dashboards given as JSON by file name.

    `whole`: they are all there are, so that what is exported must be on one of them.
    """
    found = []
    boards = []
    for file, text in texts.items():
        document, fact = _read(text)
        if document is None:
            found.append(Problem(file, "json", "file", fact))
            continue
        boards.append(Board(file, document))
    for board in boards:
        found += [one for one in judged(board) if not _is_allowed(one, allowed)]
    if whole and len(boards) == len(texts):
        found += [
            Problem("dashboards", "coverage", where, fact)
            for where, fact in rule_coverage.check_all(boards)
        ]
    return sorted({*found})


def judged(board: Board) -> Iterator[Problem]:
    """What the rules of one dashboard find."""
    for rule, check in RULES.items():
        for where, fact in check(board):
            yield Problem(board.file, rule, where, fact)


def _read(text: str) -> tuple[dict[str, Any] | None, str]:
    try:
        document = json.loads(text)
    except ValueError as error:
        return None, f"is no JSON ({error})"
    if not isinstance(document, dict) or not isinstance(document.get("panels"), list):
        return None, "is no dashboard: it has no list of panels"
    return document, ""


def _is_allowed(problem: Problem, allowed: Mapping[tuple[str, str, str], str]) -> bool:
    return any(
        (file, rule) == (problem.file, problem.rule) and part in problem.where
        for file, rule, part in allowed
    )
