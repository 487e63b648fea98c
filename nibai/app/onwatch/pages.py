"""What the server's pages show: audits, one audit, one endpoint; names are only looked up."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow.compute as pc

from nibai import plugins
from nibai.app.audit import Desk
from nibai.app.onwatch.lake_families import histograms
from nibai.app.onwatch.names import REPORT, WATCH
from nibai.app.onwatch.standing import Board
from nibai.conventions import DEFAULT_QUANTILES
from nibai.errors import PluginError, UsageError
from nibai.fleet import FleetAudit
from nibai.model import Audit, CollectorStanding
from nibai.protocols import (
    AuditLine,
    AuditsPage,
    EndpointPage,
    MissingPage,
    Page,
    PageMaker,
    SeriesLine,
)
from nibai.store.recent import newest_minutes
from nibai.store.totals import Seen

PER_PAGE = 50
AUDIT_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
KINDS = {WATCH: "watch", REPORT: "estimate", "fleet": "fleet"}


class Pages:
    """Answers paths below /audits and /endpoints."""

    def __init__(self, desk: Desk, board: Board, seen: Callable[[], Seen | None]) -> None:
        self._desk = desk
        self._board = board
        self._seen = seen

    def page(self, path: str, query: Mapping[str, str]) -> tuple[int, str]:
        """(status, HTML) of a path, which is not quoted any more."""
        kind, _, rest = path.strip("/").partition("/")
        if kind == "audits" and not rest:
            return self._made(self._audits(query))
        if kind == "audits":
            return self._audit(rest)
        return self._made(self._endpoint(rest))

    def _made(self, page: Page) -> tuple[int, str]:
        return (404 if isinstance(page, MissingPage) else 200), _maker().make(page)

    # -- audits -----------------------------------------------------------------------------
    def _audits(self, query: Mapping[str, str]) -> AuditsPage:
        endpoint = query.get("endpoint", "")
        endpoints = self._endpoints()
        rows = self._rows(endpoint or None)
        pages = max(math.ceil(len(rows) / PER_PAGE), 1)
        given = query.get("page", "1")
        number = min(max(int(given), 1), pages) if re.fullmatch(r"\d{1,6}", given) else 1
        chosen = rows[(number - 1) * PER_PAGE : number * PER_PAGE]
        return AuditsPage(
            lines=[self._line(row) for row in chosen],
            endpoints=sorted(set(endpoints.values())),
            endpoint=endpoint,
            number=number,
            pages=pages,
            collectors=self._collectors(),
        )

    def _audit(self, audit_id: str) -> tuple[int, str]:
        missing = MissingPage(f"audit {audit_id}")
        if not AUDIT_ID.fullmatch(audit_id):
            return self._made(missing)
        try:
            audit = self._desk.stored(audit_id)
        except UsageError:
            return self._made(missing)
        return 200, _report(audit)

    def _rows(self, endpoint: str | None) -> list[tuple[str, str, float, str]]:
        rows = self._desk.state.audits()
        if endpoint is None:
            return rows
        known = self._endpoints()
        return [row for row in rows if known.get(row[1]) == endpoint]

    def _line(self, row: tuple[str, str, float, str]) -> AuditLine:
        audit_id, change, created_at, verdict = row
        document: dict[str, Any] = self._desk.state.audit(audit_id) or {}
        about = document.get("change", {})
        return AuditLine(
            id=audit_id,
            created_at=created_at,
            kind=KINDS.get(audit_id.partition("-")[0], "audit"),
            verdict=verdict,
            endpoint=str(about.get("endpoint", "")),
            change=change,
            reason=str(document.get("reason") or ""),
        )

    # -- endpoints --------------------------------------------------------------------------
    def _endpoint(self, name: str) -> Page:
        newest = newest_minutes(self._desk.lake, self._desk.clock(), name).get(name)
        series = self._series(name)
        if newest is None and not series and name not in self._endpoints().values():
            return MissingPage(f"endpoint {name}")
        seen = self._board.round(self._desk.clock())
        return EndpointPage(
            endpoint=name,
            newest=newest,
            standings=[s for s in (seen.standings if seen else ()) if s.change.endpoint == name],
            series=series,
            lines=[self._line(row) for row in self._rows(name)[:PER_PAGE]],
        )

    def _series(self, name: str) -> list[SeriesLine]:
        seen = self._seen()
        if seen is None:
            return []
        found = []
        own = seen.recent.filter(pc.equal(seen.recent["endpoint"], name))
        for (_, variant, metric), counts in histograms(own):
            values = counts.quantile(DEFAULT_QUANTILES).tolist()
            shown = tuple(
                (p, value if math.isfinite(value) else None)
                for p, value in zip(DEFAULT_QUANTILES, values, strict=True)
            )
            found.append(SeriesLine(variant, metric, int(counts.n[0]), shown))
        return found

    def _endpoints(self) -> dict[str, str]:
        """The endpoint of every change."""
        return {change["id"]: change["endpoint"] for change in self._desk.state.changes()}

    def _collectors(self) -> tuple[CollectorStanding, ...]:
        seen = self._board.round(self._desk.clock())
        return () if seen is None else seen.collectors


def _maker() -> PageMaker:
    maker = plugins.load("nibai.pages", "html")
    if not isinstance(maker, PageMaker):
        raise PluginError("the plug-in 'html' in nibai.pages makes no pages: reinstall")
    return maker


def _report(audit: Audit | FleetAudit) -> str:
    renderer = plugins.load("nibai.renderers", "html")
    method = "render_fleet" if isinstance(audit, FleetAudit) else "render"
    render = getattr(renderer, method, None)
    if not callable(render):
        raise PluginError(f"the plug-in 'html' in nibai.renderers has no {method}: reinstall")
    return str(render(audit))
