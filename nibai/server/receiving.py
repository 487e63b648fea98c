"""Paths of receivers: bodies are bounded while they are read, threads wait for the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ExceptionHandler, Receive, Scope, Send

from nibai.protocols import PushRequest, Receiver, Sink
from nibai.server.access import Access

WORKERS = 4
"""Threads that decode and wait for the disk; waiting ones share one fsync."""


class Receiving:
    """A path of a receiver: asks whether the client may send, and hands on what it sends."""

    def __init__(
        self,
        receiver: Receiver,
        sink: Sink,
        access: Access,
        workers: ThreadPoolExecutor,
        *,
        max_body: int,
    ) -> None:
        self._receiver = receiver
        self._sink = sink
        self._access = access
        self._workers = workers
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; HTTPException where nothing is posted."""
        if scope["method"] != "POST":
            raise HTTPException(405, headers={"Allow": "POST"})
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        refusal = self._access.refuses_write(request)
        if refusal is not None:
            return JSONResponse({"message": refusal.text}, refusal.status, dict(refusal.headers))
        body = await _body(request, self._max_body)
        if body is None:
            fact = f"the body is larger than {self._max_body} bytes"
            return JSONResponse({"message": fact}, 413)
        # The first of several counts, as everywhere in Starlette.
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in reversed(request.scope["headers"])
        }
        push = PushRequest(request.scope["path"], headers, body)
        loop = asyncio.get_running_loop()
        receive = self._receiver.receive
        answer = await loop.run_in_executor(self._workers, receive, push, self._sink)
        return Response(
            answer.body, answer.status, dict(answer.headers), media_type=answer.content_type
        )


def receiving_paths(
    receivers: Sequence[Receiver], sink: Sink, access: Access, *, max_body: int
) -> dict[str, Receiving]:
    """What answers the paths of all receivers."""
    workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="nibai-receive")
    return {
        path: Receiving(receiver, sink, access, workers, max_body=max_body)
        for receiver in receivers
        for path in receiver.paths
    }


class Front(Starlette):
    """An application that hands what is posted to receivers past its routes and their wrappers.

    They cost as much as reading a request of 512 spans from the socket.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        paths: Mapping[str, Receiving],
        handlers: Mapping[Any, ExceptionHandler],
    ) -> None:
        super().__init__(routes=routes, exception_handlers=handlers)
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        known = scope["type"] == "http" and scope["method"] == "POST"
        receiving = self._paths.get(scope["path"]) if known else None
        await (receiving or super().__call__)(scope, receive, send)


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
