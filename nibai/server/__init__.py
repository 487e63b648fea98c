"""The web server: receivers, health, `/metrics` and pages as one Starlette application.

It knows no collector and no template: receivers, and what is shown, are passed in. Clients never
see a traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nibai.protocols import Receiver, Sink
from nibai.server.access import CERTIFICATE, Access
from nibai.server.reading import Site, reading_routes
from nibai.server.receiving import Front, receiving_paths
from nibai.server.renewal import Renewal
from nibai.server.tls import Certificates, names_of
from nibai.server.unanswered import unanswered

__all__ = [
    "CERTIFICATE", "Access", "Certificates", "Health", "Renewal", "Site", "make_app", "names_of",
]  # fmt: skip

Health = Callable[[], tuple[bool, Mapping[str, object]]]


def make_app(
    receivers: Sequence[Receiver],
    sink: Sink,
    health: Health,
    *,
    ready: Health | None = None,
    access: Access | None = None,
    max_body: int,
    site: Site | None = None,
) -> Starlette:
    """The application; without `access` only this machine is answered.

    `/healthz` (is it alive?) and `/readyz` (does it take data?) answer everybody with the status;
    who may read is told the facts, too.
    """
    access = access or Access()

    def probe(asked: Health) -> Callable[[Request], object]:
        async def answer(request: Request) -> Response:
            sound, facts = asked()
            told = dict(facts) if access.may_read(request) else {"status": facts["status"]}
            return JSONResponse(told, 200 if sound else 503)

        return answer

    paths = receiving_paths(receivers, sink, access, max_body=max_body)
    routes = [
        *(Route(path, receiving) for path, receiving in paths.items()),
        Route("/healthz", probe(health)),
        Route("/readyz", probe(ready or health)),
        *(() if site is None else reading_routes(site, access)),
    ]
    return Front(routes, paths, {HTTPException: unanswered(site, paths)})
