"""The web server: receivers, health, `/metrics` and pages as one Starlette application.

It knows no collector and no template: receivers, and what is shown, are passed in. Clients never
see a traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nibai.protocols import Receiver, Sink
from nibai.server.access import Access
from nibai.server.reading import Site, reading_routes
from nibai.server.receiving import receiving_routes

__all__ = ["Access", "Health", "Site", "make_app"]

Health = Callable[[], tuple[bool, Mapping[str, object]]]


def make_app(
    receivers: Sequence[Receiver],
    sink: Sink,
    health: Health,
    *,
    ready: Health | None = None,
    token: str | None = None,
    read_token: str | None = None,
    max_body: int,
    site: Site | None = None,
) -> Starlette:
    """The application. `token` opens everything, `read_token` what `site` shows.

    Without either, only this machine is answered. `/healthz` (is it alive?) and `/readyz` (does it
    take data?) need none.
    """
    access = Access(token, read_token)

    def probe(asked: Health) -> Callable[[Request], object]:
        async def answer(_request: Request) -> Response:
            sound, facts = asked()
            return JSONResponse(dict(facts), 200 if sound else 503)

        return answer

    routes = [
        *receiving_routes(receivers, sink, access, max_body=max_body),
        Route("/healthz", probe(health)),
        Route("/readyz", probe(ready or health)),
        *(() if site is None else reading_routes(site, access)),
    ]
    return Starlette(routes=routes)
