"""Rule groups for Grafana's provisioning API (one PUT a group), with an expression as condition."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from alerts.exports import expressions
from alerts.exports.expressions import Expression
from alerts.rules.ruleset import RuleSet

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
STEP_SECONDS = 10
"""Grafana evaluates at multiples of it."""

MARK = {"nibai": "true"}
"""A label of every alert, by which the notification policies know ours."""

DASHBOARD, PANEL = "nibai-change-audit", "1"


def export(rules: RuleSet, *, folder: str = "nibai", datasource: str = "prometheus") -> str:
    """A JSON list of groups; recorded series are left out, they belong to Prometheus."""
    groups = [
        _group(group.name, _seconds(group.interval), expressions.of_group(rules, group), folder)
        for group in rules.groups
    ]
    groups.append(_group("nibai-itself", 60, expressions.own(rules), folder))
    for group in groups:
        group["rules"] = [
            _rule(one, group["title"], folder, datasource)
            for one in group["rules"]
            if not one.record
        ]
    return json.dumps(groups, indent=2, ensure_ascii=False) + "\n"


def _group(title: str, interval: int, rules: Any, folder: str) -> dict[str, Any]:  # noqa: ANN401
    return {"title": title, "folderUid": folder, "interval": interval, "rules": list(rules)}


def _rule(one: Expression, group: str, folder: str, datasource: str) -> dict[str, Any]:
    about = next((one.labels[k] for k in ("claim", "rule", "moved") if k in one.labels), "")
    title = f"{one.name} {about}".strip()
    return {
        "uid": "nibai-" + hashlib.sha256(f"{group}/{title}".encode()).hexdigest()[:24],
        "title": title,
        "ruleGroup": group,
        "folderUID": folder,
        "orgID": 1,
        "condition": "B",
        "data": [_query(one.expr, datasource), _condition()],
        "noDataState": "OK",
        "execErrState": "KeepLast",
        "for": one.for_ or "0s",
        "keep_firing_for": one.keep_firing_for or "0s",
        "labels": {**one.labels, **MARK},
        "annotations": {
            **one.annotations,
            "__dashboardUid__": DASHBOARD,
            "__panelId__": PANEL,
        },
        "isPaused": False,
    }


def _query(expr: str, datasource: str) -> dict[str, Any]:
    # 1 for every series that the expression keeps, whatever its value: -1 is a refuted claim.
    kept = f"count without () ({expr})"
    model = {"refId": "A", "expr": kept, "instant": True, "range": False}
    return {
        "refId": "A",
        "datasourceUid": datasource,
        "relativeTimeRange": {"from": 600, "to": 0},
        "model": model,
    }


def _condition() -> dict[str, Any]:
    above = {"evaluator": {"type": "gt", "params": [0]}}
    model = {"refId": "B", "type": "threshold", "expression": "A", "conditions": [above]}
    return {
        "refId": "B",
        "datasourceUid": "__expr__",
        "relativeTimeRange": {"from": 0, "to": 0},
        "model": model,
    }


def _seconds(duration: str) -> int:
    parts = re.findall(r"(\d+)(ms|[smhdwy])", duration)
    seconds = sum(int(number) * SECONDS.get(unit, 0) for number, unit in parts)
    return max(-(-seconds // STEP_SECONDS), 1) * STEP_SECONDS
