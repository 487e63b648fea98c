"""What the server's pages show: audits, one audit, one endpoint; names are only looked up."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from nibai import plugins
from nibai.app.audit import Desk
from nibai.app.detections import Detections, unannounced
from nibai.app.onwatch.lake_families import histograms
from nibai.app.onwatch.names import REPORT, WATCH
from nibai.app.onwatch.standing import Board
from nibai.conventions import COVARIATES, DEFAULT_QUANTILES
from nibai.errors import NibaiError, PluginError, UsageError
from nibai.fleet import FleetAudit
from nibai.model import Audit, CollectorStanding, Detection, Standing
from nibai.protocols import (
    AuditLine,
    AuditsPage,
    BrokenPage,
    EndpointLine,
    EndpointPage,
    EndpointsPage,
    MissingPage,
    Page,
    PageMaker,
    ProblemPage,
    RefusedPage,
    SeriesLine,
)
from nibai.redaction import redacted
from nibai.store.series.totals import Seen
from nibai.store.state.silent import silent_series

LOG = logging.getLogger("nibai.pages")

PER_PAGE = 50
ENDPOINTS_PER_PAGE = 100
UNAUTHORIZED = 401
AUDIT_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
KINDS = {WATCH: "watch", REPORT: "estimate", "fleet": "fleet"}
LINKS = {"Endpoints": "/endpoints", "Audits": "/audits"}
GRAVITY = ("refuted", "inconclusive", "not_comparable", "confirmed")


class Pages:
    """Answers paths below /audits and /endpoints; everything else is missing.

    `seen`: the totals of the last renewal. `detections`: what detectors noticed up to a moment.
    """

    def __init__(
        self,
        desk: Desk,
        board: Board,
        seen: Callable[[], Seen | None],
        detections: Callable[[float], Sequence[Detection]] | None = None,
    ) -> None:
        self._desk = desk
        self._board = board
        self._seen = seen
        self._detections = Detections(desk) if detections is None else detections

    def page(self, path: str, query: Mapping[str, str]) -> tuple[int, str]:
        """(status, HTML) of a path, which is not quoted any more."""
        try:
            return self._page(path, query)
        except NibaiError as error:
            LOG.error("%s: %s", path, error)  # noqa: TRY400 - the text is the message
            return self._made(ProblemPage(redacted(str(error))))

    @staticmethod
    def refused(status: int, text: str) -> str:
        """For who may not read, or asks in a way that is not answered: what to do instead."""
        return _maker().make(RefusedPage(text, asks_for_token=status == UNAUTHORIZED))

    @staticmethod
    def broken() -> str:
        """Where a page could not be made."""
        return _maker().make(BrokenPage())

    def _page(self, path: str, query: Mapping[str, str]) -> tuple[int, str]:
        # A name may end in a slash.
        kind, _, rest = path.removeprefix("/").partition("/")
        if kind == "audits":
            return (
                self._audit(rest.strip("/")) if rest.strip("/") else self._made(self._audits(query))
            )
        if kind == "endpoints":
            return self._made(self._endpoint(rest) if rest else self._endpoints_page(query))
        return self._made(MissingPage(f"page {path}"))

    def _made(self, page: Page) -> tuple[int, str]:
        status = {MissingPage: 404, ProblemPage: 503}.get(type(page), 200)
        return status, _maker().make(page)

    # -- audits -----------------------------------------------------------------------------
    def _audits(self, query: Mapping[str, str]) -> AuditsPage:
        endpoint = query.get("endpoint", "")
        endpoints = self._endpoints()
        rows = self._rows(endpoint or None)
        number, pages = _numbered(query, len(rows), PER_PAGE)
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
    def _endpoints_page(self, query: Mapping[str, str]) -> EndpointsPage:
        find = query.get("find", "").strip()
        newest = self._newest()
        known = sorted(newest.keys() | set(self._endpoints().values()))
        line = self._lines_of(newest)
        found = [line(name) for name in known if find.casefold() in name.casefold()]
        found.sort(key=_gravity)
        number, pages = _numbered(query, len(found), ENDPOINTS_PER_PAGE)
        first = (number - 1) * ENDPOINTS_PER_PAGE
        return EndpointsPage(
            lines=found[first : first + ENDPOINTS_PER_PAGE],
            find=find,
            found=len(found),
            known=len(known),
            number=number,
            pages=pages,
            unheard=self._unheard(),
        )

    def _unheard(self, endpoint: str | None = None) -> list[str]:
        """What is said of series that never gave anything."""
        known = silent_series(self._desk.state)
        return [one.said for one in known if one.said and endpoint in {None, one.endpoint}]

    def _lines_of(self, newest: Mapping[str, float]) -> Callable[[str], EndpointLine]:
        """How an endpoint stands, of everything that is known now."""
        now = self._desk.clock()
        standings: dict[str, list[Standing]] = {}
        for one in self._standings(now):
            standings.setdefault(one.change.endpoint, []).append(one)
        noticed = Counter(name for name, _ in unannounced(self._detections(now), now).elements())

        def line(name: str) -> EndpointLine:
            own = standings.get(name, ())
            counted = Counter(one.verdict.value for one in own)
            return EndpointLine(
                endpoint=name,
                verdicts=tuple((v, counted[v]) for v in GRAVITY if counted[v]),
                newest=newest.get(name),
                silent=any(one.no_data_since is not None for one in own),
                noticed=noticed[name],
            )

        return line

    def _newest(self) -> dict[str, float]:
        """End of the newest minute of every endpoint of the last two days."""
        seen = self._seen()
        if seen is None:
            return {}
        table = seen.recent.group_by("endpoint").aggregate([("minute", "max")])
        pairs = zip(table["endpoint"].to_pylist(), table["minute_max"].to_pylist(), strict=True)
        return {name: (minute + 1) * 60.0 for name, minute in pairs}

    def _standings(self, now: float) -> tuple[Standing, ...]:
        seen = self._board.round(now)
        return () if seen is None else seen.standings

    def _endpoint(self, name: str) -> Page:
        now, newest = self._desk.clock(), self._newest()
        if name not in newest and name not in self._endpoints().values():
            return MissingPage(f"endpoint {name}")
        return EndpointPage(
            line=self._lines_of(newest)(name),
            standings=[one for one in self._standings(now) if one.change.endpoint == name],
            detections=[one for one in self._detections(now) if one.endpoint == name],
            series=self._series(name),
            lines=[self._line(row) for row in self._rows(name)[:PER_PAGE]],
            unheard=self._unheard(name),
        )

    def _series(self, name: str) -> list[SeriesLine]:
        seen = self._seen()
        if seen is None:
            return []
        found = []
        own = seen.recent.filter(pc.equal(seen.recent["endpoint"], name))
        for (_, variant, metric), counts in histograms(own):
            if metric in COVARIATES:
                continue
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
        return self._board.health(self._desk.clock()).collectors


def _numbered(query: Mapping[str, str], found: int, per_page: int) -> tuple[int, int]:
    """(the page that is asked for, of how many)."""
    pages = max(math.ceil(found / per_page), 1)
    given = query.get("page", "1")
    number = min(max(int(given), 1), pages) if re.fullmatch(r"[0-9]{1,6}", given) else 1
    return number, pages


def _gravity(line: EndpointLine) -> tuple[int, str]:
    """What somebody has to look at first: refuted, silent, noticed, undecided, confirmed, none."""
    has = dict(line.verdicts)
    grave = ("refuted" in has, line.silent, line.noticed > 0)
    rank = next((i for i, true in enumerate(grave) if true), None)
    if rank is None:
        rank = len(grave) + next((i for i, v in enumerate(GRAVITY) if v in has), len(GRAVITY))
    return rank, line.endpoint


def _maker() -> PageMaker:
    maker = plugins.load("nibai.pages", "html")
    if not isinstance(maker, PageMaker):
        raise PluginError("the plug-in 'html' in nibai.pages makes no pages: reinstall")
    return maker


def _report(audit: Audit | FleetAudit) -> str:
    renderer = plugins.load("nibai.renderers", "html", {"links": LINKS})
    method = "render_fleet" if isinstance(audit, FleetAudit) else "render"
    render = getattr(renderer, method, None)
    if not callable(render):
        raise PluginError(f"the plug-in 'html' in nibai.renderers has no {method}: reinstall")
    return str(render(audit))
