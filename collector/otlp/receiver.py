"""OTLP over HTTP: spans and histograms pushed by instrumented services.

POST /v1/traces and /v1/metrics, protobuf or JSON, gzip allowed. Answers 200 only when the sink has
the batch on disk; what cannot be used is counted in `partial_success`, malformed bytes get 400,
back-pressure 429 with Retry-After. Source: OpenTelemetry protocol specification, "OTLP/HTTP".
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import zlib
from collections.abc import Mapping

from collector.otlp.decode import decode_metrics, decode_traces
from collector.otlp.rows import Mapper, Rejected, Rows
from collector.otlp.schema import MalformedError
from nibai.errors import StoreError, ThrottledError
from nibai.protocols import PushRequest, PushResponse, Receiver, Sink

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
MAX_BODY = 16 * 1024**2

# google.rpc.Code numbers that the answers carry.
INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE, OUT_OF_RANGE = 3, 8, 14, 11


GZIP = ("gzip", "x-gzip")
ENCODINGS = (*GZIP, "identity", "")


class OtlpReceiver:
    """Decodes OTLP requests and hands their rows to a sink."""

    paths = ("/v1/traces", "/v1/metrics")

    def __init__(self, mapper: Mapper, max_body: int = MAX_BODY) -> None:
        self._mapper = mapper
        self._max_body = max_body
        self._decoding = threading.Lock()

    def receive(self, request: PushRequest, sink: Sink) -> PushResponse:
        """Answer one export request; nothing is stored unless the answer is 200."""
        kind = request.headers.get("content-type", PROTOBUF).partition(";")[0].strip().lower()
        if kind not in (PROTOBUF, JSON):
            text = f"content type {kind!r} is not supported: send {PROTOBUF} or {JSON}"
            return _status(415, INVALID_ARGUMENT, text, PROTOBUF)
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ENCODINGS:
            text = f"content encoding {encoding!r} is not supported: send gzip or none"
            return _status(415, INVALID_ARGUMENT, text, kind)
        try:
            body = self._inflate(request)
        except _TooLargeError:
            text = f"the body is larger than {self._max_body} bytes: send smaller batches"
            return _status(413, OUT_OF_RANGE, text, kind)
        except zlib.error:
            return _status(400, INVALID_ARGUMENT, "the body is no gzip data", kind)
        return self._store(request, body, kind, sink)

    def _store(self, request: PushRequest, body: bytes, kind: str, sink: Sink) -> PushResponse:
        digest = _digest(request.path, body)
        try:
            batch, answers, rejected = self._rows(request.path, body, as_json=kind == JSON)
            if answers is not None:
                sink.append(batch, digest, answers)
            elif batch is not None:
                sink.append(batch, digest)
        except MalformedError as error:
            return _status(400, INVALID_ARGUMENT, f"malformed request: {error}", kind)
        except UnicodeEncodeError:
            fact = "a text holds half of a surrogate pair, which is no Unicode"
            return _status(400, INVALID_ARGUMENT, f"malformed request: {fact}", kind)
        except ThrottledError as error:
            wait = str(max(math.ceil(error.retry_after_seconds or 1.0), 1))
            return _status(429, RESOURCE_EXHAUSTED, str(error), kind, {"retry-after": wait})
        except StoreError as error:
            return _status(503, UNAVAILABLE, str(error), kind, {"retry-after": "30"})
        return _accepted(request.path, rejected, kind)

    def _rows(self, path: str, body: bytes, *, as_json: bool) -> Rows:
        """Rows, answers and what was left out; one request at a time.

        numpy lets go of the interpreter's lock for a few microseconds at a time: two threads in it
        spend more time on handing it over than on the work.
        """
        with self._decoding:
            if path == "/v1/traces":
                decoded = decode_traces(body, self._mapper.wanted, as_json=as_json)
            else:
                decoded = decode_metrics(body, as_json=as_json)
            return self._mapper.rows(decoded)

    def _inflate(self, request: PushRequest) -> bytes:
        """The body without its compression, never more than `max_body` bytes of it."""
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in GZIP:
            if len(request.body) > self._max_body:
                raise _TooLargeError
            return request.body
        stream = zlib.decompressobj(wbits=31)
        body = stream.decompress(request.body, self._max_body + 1)
        if len(body) > self._max_body:
            raise _TooLargeError
        if not stream.eof:
            raise zlib.error
        return body


class _TooLargeError(Exception):
    """The body, inflated, exceeds the limit."""


def build(options: Mapping[str, object]) -> Receiver:
    """The receiver; options are those of `Mapper`, and `max_body`."""
    rules = dict(options)
    max_body = int(str(rules.pop("max_body", MAX_BODY)))
    return OtlpReceiver(Mapper.from_options(rules), max_body)


def _digest(path: str, body: bytes) -> bytes:
    """What a payload that is sent again is known by."""
    # Processors have instructions for SHA-256: it takes half as long as BLAKE2.
    digest = hashlib.sha256(path.encode())
    digest.update(body)
    return digest.digest()[:16]


def _accepted(path: str, rejected: Rejected, kind: str) -> PushResponse:
    """200 with what was left out: an empty message when nothing was."""
    field = "rejectedSpans" if path == "/v1/traces" else "rejectedDataPoints"
    if kind == JSON:
        partial = {field: str(rejected.count), "errorMessage": rejected.message}
        document = {"partialSuccess": partial} if rejected.count else {}
        return PushResponse(200, JSON, json.dumps(document).encode(), {})
    body = b""
    if rejected.count:
        inner = b"\x08" + _varint(rejected.count) + _text(2, rejected.message)
        body = b"\x0a" + _varint(len(inner)) + inner
    return PushResponse(200, PROTOBUF, body, {})


def _status(
    code: int, rpc_code: int, message: str, kind: str, headers: Mapping[str, str] | None = None
) -> PushResponse:
    """An error as google.rpc.Status, in the format of the request."""
    if kind == JSON:
        body = json.dumps({"code": rpc_code, "message": message}).encode()
    else:
        body = b"\x08" + _varint(rpc_code) + _text(2, message)
    return PushResponse(code, kind, body, headers or {})


def _text(field: int, text: str) -> bytes:
    data = text.encode()
    return bytes([field << 3 | 2]) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
