"""Who may do what: the receiver's token or a sender's certificate opens everything.

The read token, and every other certificate of a trusted authority, opens what is shown.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from starlette.requests import Request

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
CERTIFICATE = "nibai.certificate"
"""Where a connection keeps the names of its client's certificate."""


@dataclass(frozen=True, slots=True)
class Access:
    """The tokens (None: not asked for); `senders`: names of certificates that may send.

    `senders` is None where no certificate is asked for.
    """

    token: str | None = field(default=None, repr=False)
    read_token: str | None = field(default=None, repr=False)
    senders: tuple[str, ...] | None = None

    @property
    def wanted(self) -> str:
        """What a client without it is told to show."""
        if self.senders is None and self.token is None and self.read_token is None:
            return "without a token only this machine is answered, under its own name (localhost)"
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

    def may_write(self, request: Request) -> bool:
        """Whether a client may send data."""
        return self.may_send(request.headers.get("authorization", ""), shown_names(request))

    def may_send(self, authorization: str, names: tuple[str, ...] | None = None) -> bool:
        """Whether a client with this authorization, or a certificate of these names, may send."""
        if self.senders is None and self.token is None:
            return True
        if self.token is not None and self._given(authorization, (self.token,)):
            return True
        patterns = self.senders or ()
        return any(fnmatchcase(name, pattern) for name in names or () for pattern in patterns)

    def may_read(self, request: Request) -> bool:
        """Whether a client may see pages and metrics.

        Without a token the address is a loopback one; then a page of somebody else's, in a browser
        on this machine, could still ask under a name of its own: so the name has to be a local one.
        """
        tokens = tuple(token for token in (self.token, self.read_token) if token is not None)
        if self.senders is not None and shown_names(request) is not None:
            return True
        if not tokens and self.senders is None:
            host = request.headers.get("host", "")
            return host.rpartition(":")[0] in LOCAL_HOSTS or host in LOCAL_HOSTS
        return self._given(request.headers.get("authorization", ""), tokens)

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
