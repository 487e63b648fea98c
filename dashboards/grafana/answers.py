"""What a real Prometheus answers to the dashboards: which query has series, and which has none."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import urllib3

from dashboards.grafana.board import Board, label_query
from nibai.errors import CollectError, UsageError

RATE_WINDOW = "1m"
"""Stands for Grafana's `$__rate_interval`: four scrapes of 15 s."""

SECONDS = 20.0
SELECTOR = re.compile(r"\bnibai_\w+(?:\{[^}]*\})?")


class Prometheus:
    """Its HTTP API, as much as is asked."""

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"--prometheus {url!r} is no http:// or https:// address")
        self._url = url.rstrip("/")
        self._pool = urllib3.PoolManager(retries=False, timeout=SECONDS)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Series of an instant query; UsageError with its words when it is refused."""
        found = self._get("/api/v1/query", [("query", expression)])
        if found.get("status") != "success":
            raise UsageError(f"Prometheus refuses {expression}: {found.get('error')}")
        series: list[dict[str, Any]] = found["data"]["result"]
        return series

    def label_values(self, selector: str, label: str) -> list[str]:
        """Values of a label among the series of a selector."""
        found = self._get(f"/api/v1/label/{label}/values", [("match[]", selector)])
        return [str(value) for value in found.get("data") or []]

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _get(self, path: str, fields: Sequence[tuple[str, str]]) -> dict[str, Any]:
        try:
            answer = self._pool.request("GET", f"{self._url}{path}?{urlencode(fields)}")
            document = json.loads(answer.data)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise CollectError(
                f"Prometheus at {self._url} cannot be asked ({type(error).__name__}): "
                "check the address",
                retryable=True,
                reason="unreachable",
            ) from error
        if not isinstance(document, dict):
            raise CollectError(
                f"{self._url} answers {path} in another shape than Prometheus: check the address"
            )
        return document


@dataclass(slots=True)
class Answers:
    """Of one dashboard: how many queries were asked, and what those without a series lack."""

    title: str
    asked: int = 0
    without: int = 0
    missing: Counter[str] = field(default_factory=Counter)

    @property
    def line(self) -> str:
        """For people: what is not there yet, with how many queries ask for it."""
        text = f"{self.title}: {self.asked - self.without} of {self.asked} queries answered"
        named = ", ".join(f"{name} ({times})" for name, times in sorted(self.missing.items()))
        return f"{text}; nothing yet of {named}" if named else text


def ask(prometheus: Prometheus, board: Board, given: Mapping[str, str]) -> Answers:
    """Ask every query of a dashboard; `given` are chosen variables, others get a value it has."""
    chosen = choose(prometheus, board, given)
    found = Answers(str(board.document.get("title", board.file)))
    for expression in board.expressions():
        for text in board.filled(expression.text, chosen):
            found.asked += 1
            if not any(_has_number(one) for one in prometheus.query(text)):
                found.without += 1
                found.missing.update(_missing(prometheus, text))
    return found


def choose(prometheus: Prometheus, board: Board, given: Mapping[str, str]) -> dict[str, str]:
    """A value for every variable, the way Grafana would open the dashboard."""
    chosen = {"__rate_interval": RATE_WINDOW, **given}
    for variable in board.variables:
        name = str(variable.get("name"))
        if name in chosen or variable.get("allValue"):
            continue
        if variable.get("type") == "custom":
            chosen[name] = str(variable.get("query", "")).split(",")[0]
        selector, label = label_query(variable)
        if label:
            (filled,) = board.filled(selector, chosen)
            values = prometheus.label_values(filled, label)
            chosen[name] = values[0] if values else ""
    return chosen


def _has_number(series: Mapping[str, Any]) -> bool:
    # A native histogram has buckets instead of a value.
    return "histogram" in series or series["value"][1] != "NaN"


def _missing(prometheus: Prometheus, query: str) -> list[str]:
    """Metrics of a query that have no series at all; else its selectors, which have none."""
    selectors = sorted({*SELECTOR.findall(query)})
    # Of a histogram, native or classic buckets will do.
    families = sorted({one.partition("{")[0].removesuffix("_bucket") for one in selectors})
    forms = {name: (name, f"{name}_bucket") for name in families}
    absent = [name for name in families if not any(map(prometheus.query, forms[name]))]
    return absent or [one for one in selectors if not prometheus.query(one)] or [query]
