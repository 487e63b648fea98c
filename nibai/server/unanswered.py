"""What is asked for in a way that nothing answers: words that say which way does, or a page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from nibai.server.access import Refusal
from nibai.server.browsers import shown
from nibai.server.reading import Site, answer_refused

NOT_FOUND, NO_SUCH_METHOD = 404, 405

Answer = Callable[[Request, Exception], Awaitable[Response]]


def unanswered(site: Site | None, receiving: Collection[str]) -> Answer:
    """Answers what Starlette would answer with two words of its own.

    `receiving`: paths to which data are posted.
    """

    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker
        refusal = _refusal(request, error, receiving)
        return await asyncio.to_thread(answer_refused, site, refusal, request)

    return answer


def _refusal(request: Request, error: HTTPException, receiving: Collection[str]) -> Refusal:
    path, method = request.scope["path"], request.method
    headers = dict(error.headers or {})
    where = f"{shown(method)} {shown(path)}"
    if path in receiving:
        fact = f"{where}: data are sent here, by POST (OTLP); there is nothing to read"
        return Refusal(error.status_code, fact, headers)
    takes = " and ".join(sorted(receiving)) or "no path"
    if error.status_code == NO_SUCH_METHOD and method != "POST":
        fact = f"{where}: pages and /metrics are read by GET"
        return Refusal(NO_SUCH_METHOD, fact, headers)
    if error.status_code in {NOT_FOUND, NO_SUCH_METHOD}:
        # An exporter that sends what nobody takes, such as logs, must not send it again.
        return Refusal(NOT_FOUND, f"{where}: nothing is here; data (OTLP) go to {takes}", {})
    return Refusal(error.status_code, f"{where}: {shown(error.detail)}", headers)
