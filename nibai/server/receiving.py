"""Routes of receivers: bodies are bounded while they are read, threads wait for the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nibai.protocols import PushRequest, Receiver, Sink
from nibai.server.access import Access, shown_names

WORKERS = 4
"""Threads that decode and wait for the disk; waiting ones share one fsync."""


def receiving_routes(
    receivers: Sequence[Receiver], sink: Sink, access: Access, *, max_body: int
) -> list[Route]:
    """The paths of all receivers; each asks whether the client may send."""
    workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="nibai-receive")

    def endpoint(receiver: Receiver) -> Callable[[Request], object]:
        async def receive(request: Request) -> Response:
            if not access.may_write(request):
                return _refused(access, request)
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

    return [
        Route(path, endpoint(receiver), methods=["POST"])
        for receiver in receivers
        for path in receiver.paths
    ]


def _refused(access: Access, request: Request) -> Response:
    if shown_names(request) is None:
        return JSONResponse({"message": access.wanted}, 401)
    fact = "this client certificate may read, not send: it is not in otlp.tls.senders"
    return JSONResponse({"message": fact}, 403)


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
