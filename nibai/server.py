"""The web server: routes of receivers and `/healthz`, as a Starlette application.

It knows no collector: receivers are passed in. Clients never see a traceback.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nibai.protocols import PushRequest, Receiver, Sink

WORKERS = 4
"""Threads that decode and wait for the disk; waiting ones share one fsync."""


def make_app(
    receivers: Sequence[Receiver],
    sink: Sink,
    health: Callable[[], tuple[bool, Mapping[str, object]]],
    *,
    token: str | None = None,
    max_body: int,
) -> Starlette:
    """The application; with a token every route but `/healthz` asks for it as a bearer token."""
    workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="nibai-receive")

    def endpoint(receiver: Receiver) -> Callable[[Request], object]:
        async def receive(request: Request) -> Response:
            if not _allowed(request, token):
                return JSONResponse({"message": "a valid bearer token is required"}, 401)
            body = await _body(request, max_body)
            if body is None:
                return JSONResponse({"message": f"the body is larger than {max_body} bytes"}, 413)
            headers = {name.lower(): value for name, value in request.headers.items()}
            push = PushRequest(request.url.path, headers, body)
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(workers, receiver.receive, push, sink)
            return Response(
                answer.body, answer.status, dict(answer.headers), media_type=answer.content_type
            )

        return receive

    async def healthz(_request: Request) -> Response:
        sound, facts = health()
        return JSONResponse(dict(facts), 200 if sound else 503)

    routes = [
        Route(path, endpoint(receiver), methods=["POST"])
        for receiver in receivers
        for path in receiver.paths
    ]
    return Starlette(routes=[*routes, Route("/healthz", healthz)])


def _allowed(request: Request, token: str | None) -> bool:
    if token is None:
        return True
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    return hmac.compare_digest(given.encode(), token.encode())


async def _body(request: Request, limit: int) -> bytes | None:
    """The request's bytes, None as soon as they are more than the limit."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        return None
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                return None
            parts.append(part)
    except ClientDisconnect:
        return b""
    return b"".join(parts)
