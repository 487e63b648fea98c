"""A dashboard as the rules read it: panels, variables, and every expression, filled in."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

BUILT_IN = {
    "$__rate_interval": "5m",
    "$__interval": "1m",
    "$__range": "1h",
}
"""Variables of Grafana itself, and a value of each."""

VARIABLE = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)|\[\[(\w+)\]\]")
LABEL_VALUES = re.compile(
    r"label_values\(\s*(?:(?P<selector>.+)\s*,\s*)?(?P<label>\w+)\s*\)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression and where it stands."""

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard file."""

    file: str
    document: Mapping[str, Any]

    @property
    def panels(self) -> list[dict[str, Any]]:
        """All panels that draw something, those inside collapsed rows too."""
        return [panel for panel in self._all() if panel.get("type") != "row"]

    @property
    def ids(self) -> list[object]:
        """Ids of all panels and rows."""
        return [panel.get("id") for panel in self._all()]

    @property
    def variables(self) -> list[dict[str, Any]]:
        """All variables."""
        found: list[dict[str, Any]] = self.document.get("templating", {}).get("list", [])
        return found

    @property
    def annotations(self) -> list[dict[str, Any]]:
        """All annotation queries."""
        found: list[dict[str, Any]] = self.document.get("annotations", {}).get("list", [])
        return found

    def panel_expressions(self) -> Iterator[tuple[dict[str, Any], Expression]]:
        """Expressions of panels as they are written."""
        for panel in self.panels:
            for target in panel.get("targets", []):
                where = f"{named(panel)}, query {target.get('refId', '?')}"
                yield panel, Expression(where, str(target.get("expr", "")))

    def expressions(self) -> Iterator[Expression]:
        """Every expression as it is written: panels, variables and annotations."""
        yield from (expression for _, expression in self.panel_expressions())
        for variable in self.variables:
            selector, label = label_query(variable)
            if label:
                where = f"variable {variable.get('name')}"
                yield Expression(where, f"count by ({label}) ({selector})")
        for marker in self.annotations:
            if marker.get("expr"):
                yield Expression(f"annotation {marker.get('name')}", str(marker["expr"]))

    def filled(self, text: str, chosen: Mapping[str, str] | None = None) -> list[str]:
        """An expression with variables replaced: one text for every choice of fixed values.

        `chosen` are values of variables; others of queries become a word.
        """
        given = chosen or {}
        used = {name for match in VARIABLE.finditer(text) if (name := _name(match))}
        choices = [[(name, value) for value in self._values(name, given)] for name in sorted(used)]
        return [_replaced(text, dict(pick)) for pick in itertools.product(*choices)]

    def _values(self, name: str, given: Mapping[str, str]) -> list[str]:
        if name in given:
            return [given[name]]
        if f"${name}" in BUILT_IN:
            return [BUILT_IN[f"${name}"]]
        for variable in self.variables:
            if variable.get("name") == name and variable.get("type") == "custom":
                return str(variable.get("query", "")).split(",")
            if variable.get("name") == name and variable.get("allValue"):
                return [variable["allValue"]]
        return ["x"]

    def _all(self) -> Iterator[dict[str, Any]]:
        for panel in self.document.get("panels", []):
            yield panel
            yield from panel.get("panels", [])


def label_query(variable: Mapping[str, Any]) -> tuple[str, str]:
    """Selector and label of a variable that lists values of a label; empty for others."""
    query = variable.get("query")
    text = query.get("query", "") if isinstance(query, Mapping) else str(query or "")
    match = LABEL_VALUES.fullmatch(text) if variable.get("type") == "query" else None
    return (match["selector"] or "", match["label"]) if match else ("", "")


def named(panel: Mapping[str, Any]) -> str:
    """A panel as messages call it."""
    return f"panel {panel.get('id', '?')} “{panel.get('title', '')}”"


def _name(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None)


def _replaced(text: str, values: Mapping[str, str]) -> str:
    return VARIABLE.sub(lambda match: values[_name(match)], text)
