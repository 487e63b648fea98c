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
    """Of one dashboard: how many queries were asked, and what those without a series lack.

    `idle` answered with not-a-number alone: there was no traffic in the last minute.
    """

    title: str
    asked: int = 0
    idle: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    without: int = 0

    @property
    def line(self) -> str:
        """For people: what is not there yet, with how many queries ask for it."""
        parts = [f"{self.title}: {self.asked - self.without} of {self.asked} queries answered"]
        if self.idle:
            parts.append(f"{self.idle} of them “No traffic”")
        if self.missing:
            named = ", ".join(f"{name} ({times})" for name, times in sorted(self.missing.items()))
            parts.append(f"nothing yet of {named}")
        return "; ".join(parts)


def ask(prometheus: Prometheus, board: Board, given: Mapping[str, str]) -> Answers:
    """Ask every query of a dashboard; `given` are chosen variables, others get a value it has."""
    chosen = choose(prometheus, board, given)
    found = Answers(str(board.document.get("title", board.file)))
    for expression in board.expressions():
        for text in board.filled(expression.text, chosen):
            found.asked += 1
            series = prometheus.query(text)
            found.idle += bool(series) and not any(map(_has_number, series))
            if not series:
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
    """Metrics of a query without any series; else those of which it asks for other labels."""
    selectors = sorted({*SELECTOR.findall(query)})
    # Of a histogram, native or classic buckets will do.
    families = sorted({_family(one) for one in selectors})
    absent = [name for name in families if not any(map(prometheus.query, (name, f"{name}_bucket")))]
    others = {_family(one) for one in selectors if not prometheus.query(one)}
    return absent or [f"{name} with these labels" for name in sorted(others)] or ["a match of both"]


def _family(selector: str) -> str:
    return selector.partition("{")[0].removesuffix("_bucket")
