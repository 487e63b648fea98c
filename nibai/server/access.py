"""Who may do what: the receiver's token opens everything, the read token only what is shown."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass, field

from starlette.requests import Request

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True, slots=True)
class Access:
    """The tokens; None: not asked for."""

    token: str | None = field(default=None, repr=False)
    read_token: str | None = field(default=None, repr=False)

    def may_write(self, request: Request) -> bool:
        """Whether a client may send data."""
        return self.may_send(request.headers.get("authorization", ""))

    def may_send(self, authorization: str) -> bool:
        """Whether a client that shows this authorization may send data, over HTTP or otherwise."""
        return self.token is None or self._given(authorization, (self.token,))

    def may_read(self, request: Request) -> bool:
        """Whether a client may see pages and metrics.

        Without a token the address is a loopback one; then a page of somebody else's, in a browser
        on this machine, could still ask under a name of its own: so the name has to be a local one.
        """
        tokens = tuple(token for token in (self.token, self.read_token) if token is not None)
        if not tokens:
            host = request.headers.get("host", "")
            return host.rpartition(":")[0] in LOCAL_HOSTS or host in LOCAL_HOSTS
        return self._given(request.headers.get("authorization", ""), tokens)

    @staticmethod
    def _given(authorization: str, tokens: tuple[str, ...]) -> bool:
        given = _presented(authorization).encode()
        # All are compared, so that the time tells nothing.
        found = [hmac.compare_digest(given, token.encode()) for token in tokens]
        return any(found)


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
