"""A rule file for Prometheus, so that all alerting can live there."""

from __future__ import annotations

from typing import Any

import yaml

from alerts.exports import expressions
from alerts.exports.expressions import Expression
from alerts.rules.ruleset import RuleSet


def export(rules: RuleSet, *, keep_firing_for: bool = True) -> str:
    """The rules as YAML; without `keep_firing_for` for evaluators that do not know it."""
    groups: list[dict[str, Any]] = [
        {
            "name": group.name,
            "interval": group.interval,
            "rules": [_rule(one, keep_firing_for) for one in expressions.of_group(rules, group)],
        }
        for group in rules.groups
    ]
    own = [_rule(one, keep_firing_for) for one in expressions.own(rules)]
    groups.append({"name": "nibai-itself", "interval": "1m", "rules": own})
    head = "# Made by `nibai rules export --format prometheus`; edit the rule file instead.\n"
    return head + yaml.safe_dump({"groups": groups}, sort_keys=False, allow_unicode=True, width=100)


def _rule(one: Expression, keep_firing_for: bool) -> dict[str, Any]:
    rule: dict[str, Any] = {"record" if one.record else "alert": one.name, "expr": one.expr}
    if one.for_:
        rule["for"] = one.for_
    if one.keep_firing_for and keep_firing_for:
        rule["keep_firing_for"] = one.keep_firing_for
    if one.labels:
        rule["labels"] = dict(one.labels)
    if one.annotations:
        rule["annotations"] = dict(one.annotations)
    return rule
