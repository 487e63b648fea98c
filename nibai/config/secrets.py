"""Secrets behind references, and texts without them: what was read once is in no log line after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from nibai.errors import ConfigError

HIDDEN = "[secret]"
LEAST_LENGTH = 6
"""What is shorter would be found in words that are none."""

_known: set[str] = set()


def resolve_secret(reference: str, environment: Mapping[str, str]) -> str:
    """The secret behind a reference; ConfigError names the reference, never the value."""
    kind, _, where = reference.partition(":")
    if kind == "env":
        found = environment.get(where)
    else:
        try:
            found = Path(where).read_text(encoding="utf-8").strip()
        except OSError:
            found = None
    if not found:
        raise ConfigError(f"the secret {reference} is empty or missing: set it")
    hide(found)
    return found


def hide(secret: str | None) -> None:
    """From now on `redacted` leaves it out, also as part of an address."""
    if secret and len(secret) >= LEAST_LENGTH:
        _known.update({secret, quote(secret, safe="")})


def hide_password(address: str | None) -> None:
    """The password in an address of a database or server."""
    try:
        hide(urlsplit(address or "").password)
    except ValueError:
        return


def redacted(text: str) -> str:
    """The text without any secret that was read so far.

    >>> hide("hunter2-hunter2")
    >>> redacted("Authorization: Bearer hunter2-hunter2")
    'Authorization: Bearer [secret]'
    """
    # Longest first: one may be the beginning of another.
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text
