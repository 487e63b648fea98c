"""HTTP to a Grafana: the only importer of `grafana-api`, whose traps end here.

Of that package only the transport is used: it builds addresses and sends the token. Added are what
it lacks: empty bodies, retries, the organization, a timeout, and errors in our words.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
from grafana_api.grafana_api import GrafanaAPI
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from dashboards.grafana.port import GrafanaError
from nibai.errors import UsageError

AGAIN = (429, 502, 503, 504)
IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})
ATTEMPTS = 4
BACKOFF_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30
"""A Retry-After beyond this is cut: the next audit comes anyway."""

TIMEOUT_SECONDS = 10.0
EXCERPT_CHARACTERS = 200
REMEDIES = {
    401: ("auth", "make a service-account token and give it as grafana.token"),
    403: ("auth", "give its service account the role Editor, or the permission that is named"),
    404: ("missing", "check grafana.url: is a path of a proxy missing?"),
    409: ("conflict", "something of this name is there already: rename one"),
    412: ("conflict", "somebody else changed it, or it belongs to a plug-in: look at it first"),
    429: ("throttled", "try again later"),
}


class Transport:
    """Requests to one Grafana with one token, which no error repeats."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        org_id: int | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        backoff_seconds: float = BACKOFF_SECONDS,
    ) -> None:
        self.base, self.name = _address(url)
        self._secrets = [token]
        self._api = GrafanaAPI(token, timeout=timeout_seconds)
        self._api.url = f"{self.base}/api"
        session = self._api.s
        session.headers["User-Agent"] = "nibai"
        session.headers["Accept"] = "application/json"
        if org_id is not None:
            session.headers["X-Grafana-Org-Id"] = str(org_id)
        retry = _Retry(
            total=ATTEMPTS - 1,
            backoff_factor=backoff_seconds,
            status_forcelist=AGAIN,
            allowed_methods=IDEMPOTENT,
            retry_after_max=LONGEST_WAIT_SECONDS,
            raise_on_status=False,
        )
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        session.hooks["response"].append(self._receive)

    def conceal(self, secret: str) -> None:
        """Never repeat a secret that is sent, whatever Grafana says of it."""
        if secret:
            self._secrets.append(secret)

    def close(self) -> None:
        """Close the connections."""
        self._api.s.close()

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """The JSON that Grafana answers, {} for nothing; raises GrafanaError."""
        # Any name but five would be sent as a method of HTTP: it is asked for by name here only.
        send: Callable[..., Any] = functools.partial(getattr(self._api, method), path)
        try:
            return send(json=body, headers=dict(headers or {}))
        except requests.exceptions.JSONDecodeError as error:
            raise GrafanaError(
                f"Grafana at {self.name} answers {method} {_short(path)} with no JSON: "
                "check grafana.url, a login page of a proxy may stand before it",
                retryable=False,
                reason="schema",
            ) from error
        except requests.exceptions.RequestException as error:
            raise GrafanaError(
                f"Grafana at {self.name} cannot be reached ({type(error).__name__}): "
                "check grafana.url, the network and the certificate",
                retryable=True,
                reason="unreachable",
            ) from None  # the original repeats the whole address

    def find(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """What is at a path, None when nothing is."""
        try:
            return self.ask("GET", path)
        except GrafanaError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def _receive(self, response: requests.Response, **_: object) -> None:
        # Runs before grafana-api looks at the answer.
        method, path = response.request.method, urlsplit(response.url).path
        what = f"Grafana at {self.name} answers {method} {path}"
        if response.is_redirect:
            response.close()
            raise GrafanaError(
                f"{what} with a redirect: give the address it leads to as grafana.url",
                retryable=False,
                reason="redirect",
                status=response.status_code,
            )
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            raise self._refusal(what, response)
        if not response.content:
            # It parses every body as JSON, and 204 has none.
            response._content = b"{}"  # noqa: SLF001 - requests has no other way to replace it

    def _refusal(self, what: str, response: requests.Response) -> GrafanaError:
        status = response.status_code
        retryable = status in AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        reason, remedy = REMEDIES.get(
            status,
            ("server", "try again later, its log says more")
            if retryable
            else ("refused", "its words say why"),
        )
        said = _excerpt(response, self._secrets)
        return GrafanaError(
            f"{what} with {status}{said}: {remedy}",
            retryable=retryable,
            reason=reason,
            status=status,
        )


class _Retry(Retry):
    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:  # noqa: FBT002 - urllib3's signature
        # What was throttled was not done: it may be sent again, whatever it was.
        throttled = status_code == HTTPStatus.TOO_MANY_REQUESTS
        return throttled or super().is_retry(method, status_code, has_retry_after)


def _address(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"grafana.url {_hidden(url)!r} is no http:// or https:// address")
    if parts.username or parts.password:
        raise UsageError("grafana.url holds credentials: give a token as grafana.token instead")
    if parts.query or parts.fragment:
        raise UsageError("grafana.url has a query: give the address of the start page alone")
    base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    return base, f"{parts.netloc}{parts.path.rstrip('/')}"


def _hidden(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//***@", url)[:EXCERPT_CHARACTERS]


def _excerpt(response: requests.Response, secrets: Sequence[str]) -> str:
    try:
        document = response.json()
    except ValueError:
        return ""
    message = document.get("message") if isinstance(document, dict) else None
    if not isinstance(message, str) or not message.strip():
        return ""
    text = " ".join(message.split())
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    printable = "".join(letter for letter in text if letter.isprintable())
    return f" (“{printable[:EXCERPT_CHARACTERS]}”)"


def _short(path: str) -> str:
    return path.partition("?")[0]
