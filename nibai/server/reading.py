"""What can be read: `/metrics`, and pages; read-only, escaped by whoever renders, never cached."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from nibai.errors import NibaiError
from nibai.redaction import redacted
from nibai.server.access import Access, Refusal

LOG = logging.getLogger("nibai.pages")

PLAIN = {
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
SECURITY = {
    **PLAIN,
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class Site:
    """What is shown: metrics in the form of an `Accept` header, and pages by path and query.

    A page is (status, HTML); what is asked for is only looked up, never opened as a file. `refused`
    (status and words) and `broken` are what a browser is shown who may not read, or asks in a way
    that is not answered, or where no page could be made.
    """

    metrics: Callable[[str], tuple[str, bytes]]
    page: Callable[[str, Mapping[str, str]], tuple[int, str]]
    refused: Callable[[int, str], str] | None = None
    broken: Callable[[], str] | None = None


def reading_routes(site: Site, access: Access) -> list[Route]:
    """Routes of metrics and pages."""

    async def metrics(request: Request) -> Response:
        refusal = access.refuses_read(request)
        if refusal is not None:
            return in_words(refusal)
        try:
            kind, body = await asyncio.to_thread(site.metrics, request.headers.get("accept", ""))
        except NibaiError as error:
            return PlainTextResponse(f"{redacted(str(error))}\n", 503, PLAIN)
        # As it is: Prometheus wants its media type to the letter.
        return Response(body, headers={**PLAIN, "content-type": kind})

    async def page(request: Request) -> Response:
        refusal = access.refuses_read(request)
        if refusal is not None:
            return await asyncio.to_thread(answer_refused, site, refusal, request)
        query = dict(request.query_params)
        try:
            # Decoded once: `request.url` quotes some signs anew, a name may hold a %2F of its own.
            status, html = await asyncio.to_thread(site.page, request.scope["path"], query)
        except Exception:
            LOG.exception("%s: the page could not be made", request.scope["path"])
            return await asyncio.to_thread(_broken_page, site, request)
        return Response(html, status, SECURITY, "text/html")

    async def home(request: Request) -> Response:
        refusal = access.refuses_read(request)
        if refusal is not None:
            return await asyncio.to_thread(answer_refused, site, refusal, request)
        return RedirectResponse("/audits", headers=PLAIN)

    return [
        Route("/", home),
        Route("/metrics", metrics),
        # Whatever else is asked for: pages know what there is, and say what there is not.
        Route("/{rest:path}", page),
    ]


def answer_refused(site: Site | None, refusal: Refusal, request: Request) -> Response:
    """A page where a browser asks; in words for everybody else."""
    if site is None or site.refused is None or not _is_browser(request):
        return in_words(refusal)
    html = site.refused(refusal.status, refusal.text)
    return Response(html, refusal.status, {**SECURITY, **refusal.headers}, "text/html")


def in_words(refusal: Refusal) -> Response:
    """One line."""
    headers = {**PLAIN, **refusal.headers}
    return PlainTextResponse(f"{refusal.text}\n", refusal.status, headers)


def _broken_page(site: Site, request: Request) -> Response:
    """What it was is in the log only."""
    if site.broken is not None and _is_browser(request):
        try:
            return Response(site.broken(), 500, SECURITY, "text/html")
        except Exception:
            LOG.exception("the page for that could not be made either")
    return PlainTextResponse("the page could not be made: see nibai's log\n", 500, SECURITY)


def _is_browser(request: Request) -> bool:
    """Whether who asks reads pages; programs take what comes."""
    return "text/html" in request.headers.get("accept", "")
