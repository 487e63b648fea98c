"""Who may do what: the receiver's token or a sender's certificate opens everything.

The read token, and every other certificate of a trusted authority, opens what is shown.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from starlette.requests import Request

from nibai.server.browsers import asked_name, is_of_another_page, is_own_name, shown

CERTIFICATE = "nibai.certificate"
"""Where a connection keeps the names of its client's certificate."""


CHALLENGE = {"www-authenticate": 'Basic realm="nibai", charset="UTF-8"'}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered, and what its client can do: status, words and headers."""

    status: int
    text: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Access:
    """The tokens (None: not asked for); `senders`: names of certificates that may send.

    `senders` is None where no certificate is asked for. `names`: under which it may be asked
    without a token, beside this machine's own.
    """

    token: str | None = field(default=None, repr=False)
    read_token: str | None = field(default=None, repr=False)
    senders: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()

    @property
    def wanted(self) -> str:
        """What a client without it is told to show."""
        if self.senders is None:
            return "a valid bearer token is required"
        if self.token is None and self.read_token is None:
            return "a client certificate is required"
        return "a valid bearer token or a client certificate is required"

    @property
    def hint(self) -> str:
        """How a reader shows it."""
        if self.token is None and self.read_token is None:
            return ""
        return "; in a browser any user name, and the token as password"

    def refuses_write(self, request: Request) -> Refusal | None:
        """Why a client may not send data; None: it may."""
        if is_of_another_page(request):
            page = shown(request.headers.get("origin", "another page"))
            fact = f"a browser sends this for {page}: nibai takes nothing from pages"
            return Refusal(403, f"{fact}; send it from a program", {})
        if self.senders is None and self.token is None:
            return self._foreign_name(request)
        names = shown_names(request)
        if self.may_send(request.headers.get("authorization", ""), names):
            return None
        if names is None:
            return Refusal(401, self.wanted, {})
        fact = "this client certificate may read, not send: it is not in otlp.tls.senders"
        return Refusal(403, fact, {})

    def refuses_read(self, request: Request) -> Refusal | None:
        """Why a client may not see pages and metrics; None: it may."""
        tokens = tuple(token for token in (self.token, self.read_token) if token is not None)
        if self.senders is not None and shown_names(request) is not None:
            return None
        if not tokens and self.senders is None:
            return self._foreign_name(request)
        if self._given(request.headers.get("authorization", ""), tokens):
            return None
        return Refusal(401, f"{self.wanted}{self.hint}", CHALLENGE)

    def may_send(self, authorization: str, names: tuple[str, ...] | None = None) -> bool:
        """Whether a client with this authorization, or a certificate of these names, may send."""
        if self.senders is None and self.token is None:
            return True
        if self.token is not None and self._given(authorization, (self.token,)):
            return True
        patterns = self.senders or ()
        return any(fnmatchcase(name, pattern) for name in names or () for pattern in patterns)

    def may_read(self, request: Request) -> bool:
        """Whether a client may see pages and metrics."""
        return self.refuses_read(request) is None

    def _foreign_name(self, request: Request) -> Refusal | None:
        """Without a token the address is a loopback one, and the name has to be a local one.

        A page of somebody else's, in a browser on this machine, could still ask under its own.
        """
        if is_own_name(request, self.names):
            return None
        own = ", ".join(("localhost", *self.names))
        asked = shown(asked_name(request)) or "no name"
        fact = f"without a token nibai answers to its own names ({own}), not to {asked}"
        remedy = "ask for one of them, or add the name to web.names in nibai.yaml"
        return Refusal(421, f"{fact}: {remedy}", {})

    @staticmethod
    def _given(authorization: str, tokens: tuple[str, ...]) -> bool:
        given = _presented(authorization).encode()
        # All are compared, so that the time tells nothing.
        found = [hmac.compare_digest(given, token.encode()) for token in tokens]
        return any(found)


def shown_names(request: Request) -> tuple[str, ...] | None:
    """The names of the client's certificate, which TLS has checked; None: it showed none."""
    names: tuple[str, ...] | None = request.scope.get("state", {}).get(CERTIFICATE)
    return names


def _presented(header: str) -> str:
    """The bearer token, or the password that a browser asked its user for."""
    kind, _, value = header.partition(" ")
    if kind.lower() == "bearer":
        return value
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
