"""What can be read: `/metrics`, and pages; read-only, escaped by whoever renders, never cached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nibai.errors import NibaiError
from nibai.server.access import Access

SECURITY = {
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Site:
    """What is shown: metrics in the form of an `Accept` header, and pages by path and query.

    A page is (status, HTML); what is asked for is only looked up, never opened as a file.
    """

    metrics: Callable[[str], tuple[str, bytes]]
    page: Callable[[str, Mapping[str, str]], tuple[int, str]]


def reading_routes(site: Site, access: Access) -> list[Route]:
    """Routes of metrics and pages."""

    async def metrics(request: Request) -> Response:
        if not access.may_read(request):
            return _refused(access)
        try:
            kind, body = await asyncio.to_thread(site.metrics, request.headers.get("accept", ""))
        except NibaiError as error:
            return Response(f"{error}\n", 503, media_type="text/plain")
        # As it is: Prometheus wants its media type to the letter.
        return Response(body, headers={"content-type": kind, "cache-control": "no-store"})

    async def page(request: Request) -> Response:
        if not access.may_read(request):
            return _refused(access)
        query = dict(request.query_params)
        # Decoded once: `request.url` quotes some signs anew, and a name may hold a %2F of its own.
        status, html = await asyncio.to_thread(site.page, request.scope["path"], query)
        return Response(html, status, SECURITY, "text/html")

    async def home(request: Request) -> Response:
        return RedirectResponse("/audits") if access.may_read(request) else _refused(access)

    return [
        Route("/", home),
        Route("/metrics", metrics),
        # Whatever else is asked for: pages know what there is, and say what there is not.
        Route("/{rest:path}", page),
    ]


def _refused(access: Access) -> Response:
    headers = {"www-authenticate": 'Basic realm="nibai", charset="UTF-8"'}
    return Response(f"{access.wanted}{access.hint}\n", 401, headers, "text/plain")
