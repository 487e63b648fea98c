"""One POST over HTTP: the answer's bytes, or the error that says whether to try again.

urllib3, because it arrives with boto3, is made for threads, and sends a request once unless told
otherwise: a request that the budget does not know of must not exist. Redirects are not followed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import urllib3

from nibai.config import environment, resolve_secret
from nibai.errors import AuthError, CollectError, ThrottledError, UsageError

MAX_ANSWER_BYTES = 64 << 20
CHUNK_BYTES = 1 << 16
EXCERPT_CHARACTERS = 160
SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie")
SECRET_WORDS = ("key", "token", "secret", "auth", "cred", "pass")
TRY_AGAIN = (408, 425, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Received:
    """A successful answer."""

    body: bytes
    content_type: str


class Transport:
    """POSTs to one address; safe to share between threads.

    `headers` may refer to secrets (env:NAME, file:PATH), `token` is one for a bearer; neither ever
    appears in an error.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        token: str | None = None,
        timeout_seconds: float,
        connections: int = 64,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self.name = name_of(url)
        self._headers, self._secrets = _resolved(headers, token)
        self._seconds = timeout_seconds
        self._clock = clock
        self._pool = urllib3.PoolManager(
            maxsize=connections, retries=False, timeout=urllib3.Timeout(timeout_seconds)
        )

    def post(self, body: bytes, content_type: str = "application/json") -> Received:
        """The answer to one request; raises what `Target.send` may raise."""
        headers = {"Content-Type": content_type, "Accept": "application/json", **self._headers}
        try:
            response = self._pool.request(
                "POST", self._url, body=body, headers=headers, redirect=False, preload_content=False
            )
            try:
                found = self._read(response)
            finally:
                response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._broken(error) from error
        self._check(response.status, response.headers, found)
        return Received(found, response.headers.get("Content-Type", ""))

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        # The timeout of urllib3 is per piece; an answer that trickles must end too.
        end = time.monotonic() + self._seconds
        pieces, size = [], 0
        for piece in response.stream(CHUNK_BYTES, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_ANSWER_BYTES:
                response.close()
                raise CollectError(
                    f"{self.name}: an answer of more than {MAX_ANSWER_BYTES >> 20} MiB",
                    reason="too_large",
                )
            if time.monotonic() > end:
                response.close()
                raise self._timeout()
        return b"".join(pieces)

    def _broken(self, error: Exception) -> CollectError:
        # urllib3 calls a refused connection a kind of timeout.
        refused = isinstance(error, urllib3.exceptions.NewConnectionError)
        if isinstance(error, urllib3.exceptions.TimeoutError) and not refused:
            return self._timeout()
        # Names of classes only: texts may repeat the address with its query.
        return CollectError(
            f"{self.name}: the connection failed ({type(error).__name__}): is it up?",
            retryable=True,
            reason="connection",
        )

    def _timeout(self) -> CollectError:
        return CollectError(
            f"{self.name}: no answer within {self._seconds:g} s", retryable=True, reason="timeout"
        )

    def _check(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return
        text = f"{self.name}: HTTP {status}{self._excerpt(body)}"
        rest = retry_after_seconds(headers.get("Retry-After"), self._clock())
        if status == HTTPStatus.TOO_MANY_REQUESTS or (
            status == HTTPStatus.SERVICE_UNAVAILABLE and rest is not None
        ):
            raise ThrottledError(text, retry_after_seconds=rest)
        if status == HTTPStatus.UNAUTHORIZED:
            raise AuthError(text)
        raise CollectError(text, retryable=status in TRY_AGAIN, reason=f"http_{status}")

    def _excerpt(self, body: bytes) -> str:
        text = body[: 4 * EXCERPT_CHARACTERS].decode("utf-8", "replace")
        for secret in self._secrets:
            text = text.replace(secret, "***")
        words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return f": {words[:EXCERPT_CHARACTERS]}" if words else ""


def retry_after_seconds(value: str | None, now: float) -> float | None:
    """Seconds from a Retry-After header, which holds a number or a date; None without one.

    >>> retry_after_seconds("7", 0.0), retry_after_seconds("Thu, 01 Jan 1970 00:01:00 GMT", 50.0)
    (7.0, 10.0)
    """
    if value is None:
        return None
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(value).timestamp() - now, 0.0)
    except ValueError:
        return None


def name_of(url: str) -> str:
    """An address as it may be printed, without its query.

    >>> name_of("https://models.example/v1/predict?key=1")
    'https://models.example/v1/predict'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def check_url(url: str) -> str:
    """The address, or a ValueError that says what is wrong with it."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an address starts with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("a secret does not belong into an address: use token: env:NAME")
    return url


def _resolved(
    headers: Mapping[str, str], token: str | None
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Headers with their secrets, and the secrets alone."""
    found, secrets = {}, []
    for name, value in headers.items():
        if value.startswith(("env:", "file:")):
            found[name] = resolve_secret(value, environment())
            secrets.append(found[name])
        elif _is_secret(name):
            raise UsageError(
                f"header {name} takes a reference, never the secret itself: env:NAME or file:PATH"
            )
        else:
            found[name] = value
    if token is not None:
        secrets.append(resolve_secret(token, environment()))
        found["Authorization"] = f"Bearer {secrets[-1]}"
    return found, tuple(secrets)


def _is_secret(header: str) -> bool:
    name = header.lower()
    return name in SECRET_HEADERS or any(word in name for word in SECRET_WORDS)
