"""The HTTP API of Prometheus: queries by POST, one at a time, slower when asked to be.

Source: Prometheus' "HTTP API"; CloudWatch's limits: aws.md, section 3.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from collector.promql.answers import Labels, Matrix, matrix
from nibai.errors import AuthError, CollectError, SchemaError, ThrottledError
from nibai.model import Window

TRIES = 5
FIRST_WAIT_SECONDS = 0.5
TIMEOUT_SECONDS = 30.0
TOO_MANY_REQUESTS = 429
UNPROCESSABLE = 422
NOT_FOUND = 404
REFUSED = (401, 403)
SERVER_ERROR = 500
OK = 200
MOST_BYTES = 32 * 1024**2
"""Of an answer; Python needs ten times as much for what is in it."""


class TooMuchError(CollectError):
    """A query touched more than the server allows: ask for less at a time."""


class Http(Protocol):
    """One request: method, address, headers, body; returns (status, body)."""

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, /
    ) -> tuple[int, bytes]: ...


class Signer(Protocol):
    """Headers that prove who asks."""

    def __call__(self, method: str, url: str, body: bytes, /) -> Mapping[str, str]: ...


@dataclass(slots=True)
class Metered:
    """What was asked so far."""

    queries: int = 0
    samples: int = 0
    waits: int = 0


@dataclass(slots=True)
class PromqlClient:
    """A Prometheus-compatible API at `url` (without /api/v1).

    `refused` is called where the proof of who asks is not accepted.
    """

    url: str
    http: Http
    sign: Signer
    wait: Callable[[float], None]
    tries: int = TRIES
    refused: Callable[[], None] = lambda: None
    metered: Metered = field(default_factory=Metered)

    def query_range(self, query: str, window: Window, step: float) -> Matrix:
        """Samples at window.start, + step, … up to and including window.end.

        Raises TooMuchError where the server says so, CollectError and its kinds otherwise.
        """
        asked = {
            "query": query,
            "start": f"{window.start:.3f}",
            "end": f"{window.end:.3f}",
            "step": f"{step:g}",
            "stats": "all",
        }
        found = matrix(self._post("query_range", asked))
        self.metered.queries += 1
        self.metered.samples += found.samples
        return found

    def label_values(self, label: str, match: str | None, window: Window | None) -> list[str]:
        """Values of a label, of the series that match."""
        path = f"label/{quote(label, safe='')}/values"
        document = self._get(path, _selection(match, window))
        return [str(one) for one in _listed(document)]

    def series(self, match: str, window: Window) -> list[Labels]:
        """Label sets of the series that match; incomplete where the server truncates."""
        document = self._post("series", _selection(match, window))
        return [{str(name): str(value) for name, value in one.items()} for one in _listed(document)]

    # -- one request ------------------------------------------------------------------------
    def _post(self, path: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        return self._ask("POST", f"{self._base}/{path}", urlencode(form).encode())

    def _get(self, path: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        query = f"?{urlencode(form, quote_via=quote)}" if form else ""
        return self._ask("GET", f"{self._base}/{path}{query}", b"")

    @property
    def _base(self) -> str:
        return f"{self.url.rstrip('/')}/api/v1"

    def _ask(self, method: str, url: str, body: bytes) -> Mapping[str, Any]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        pause = FIRST_WAIT_SECONDS
        for last in (*([False] * (self.tries - 1)), True):
            status, answer = self.http(
                method, url, {**headers, **self.sign(method, url, body)}, body
            )
            if status == OK:
                return _document(answer)
            if status in REFUSED:
                self.refused()
            if last or (status != TOO_MANY_REQUESTS and status < SERVER_ERROR):
                raise _refused(self.url, status, answer)
            self.metered.waits += 1
            self.wait(pause)
            pause *= 2
        raise AssertionError  # pragma: no cover - the last try returns or raises


def unsigned(_method: str, _url: str, _body: bytes) -> Mapping[str, str]:
    """Nothing proves who asks."""
    return {}


def bearer(token: str) -> Signer:
    """A token in the header `Authorization`."""
    return lambda _method, _url, _body: {"Authorization": f"Bearer {token}"}


def urllib3_http() -> Http:
    """Requests through urllib3; what cannot be reached is a retryable CollectError."""
    import urllib3  # noqa: PLC0415 - 60 ms that only collecting needs

    pool = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=5.0, read=TIMEOUT_SECONDS), retries=False
    )

    def request(
        method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        try:
            answer = pool.request(
                method, url, headers=dict(headers), body=body or None,
                preload_content=False, redirect=False,
            )  # fmt: skip
            data = answer.read(MOST_BYTES + 1)
            answer.drain_conn() if len(data) <= MOST_BYTES else answer.close()
        except urllib3.exceptions.HTTPError as error:
            host = urllib3.util.parse_url(url).netloc
            raise CollectError(
                f"PromQL at {host}: not reached ({type(error).__name__}): is it running, and the "
                "address right?",
                retryable=True,
                reason="unreached",
            ) from None
        if len(data) > MOST_BYTES:
            raise TooMuchError(
                f"PromQL: an answer of more than {MOST_BYTES // 1024**2} MiB", reason="too_much"
            )
        return answer.status, data

    return request


def _selection(match: str | None, window: Window | None) -> dict[str, str]:
    found = {} if match is None else {"match[]": match}
    if window is not None:
        found |= {"start": f"{window.start:.3f}", "end": f"{window.end:.3f}"}
    return found


def _listed(document: Mapping[str, Any]) -> Sequence[Any]:
    found = document.get("data")
    if not isinstance(found, list):
        raise SchemaError("PromQL: the answer holds no list: is the address a Prometheus API's?")
    return found


def _document(answer: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("status") != "success":
        raise SchemaError("PromQL: the answer is none: is the address that of a Prometheus API?")
    return found


def _refused(url: str, status: int, answer: bytes) -> CollectError:
    said = _said(answer)
    if status == TOO_MANY_REQUESTS:
        return ThrottledError(f"PromQL at {url}: throttled (429); it is asked again later")
    if status in REFUSED:
        return AuthError(f"PromQL at {url}: refused ({status}): {said}: check token or permissions")
    if status == UNPROCESSABLE:
        return TooMuchError(f"PromQL at {url}: not executed (422): {said}", reason="too_much")
    retryable = status >= SERVER_ERROR
    return CollectError(f"PromQL at {url}: {status}: {said}", retryable=retryable,
                        reason=str(status))  # fmt: skip


def _said(answer: bytes) -> str:
    """What the server said, on one line and not all of it."""
    try:
        document = json.loads(answer)
        text = str(document.get("error") or document.get("message") or document)
    except (ValueError, AttributeError):
        text = answer[:200].decode(errors="replace")
    return " ".join(text.split())[:200]
