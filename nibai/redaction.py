"""Texts without secrets: those that were read, and what looks like one wherever it came from."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

HIDDEN = "[secret]"
LEAST_LENGTH = 6
"""What is shorter would be found in words that are none."""

_NAMES = (
    r"[\w.-]*(?:token|secret|passw(?:or)?d|api[_-]?key|access[_-]?key|routing[_-]?key|signature"
    r"|credentials?)|pwd|sig|auth"
)
"""How a name ends; `prompt_tokens=512` is none."""
_NOT = rf"(?!env:|file:|{re.escape(HIDDEN)})"
"""A reference is no secret, and what is hidden already stays as it is."""

_PATTERNS = (
    # The password of an address; it may hold an @ of its own.
    (re.compile(r"(\b[a-z][\w+.-]*://[^\s/:@?#]*:)[^\s/?#]+(?=@)", re.IGNORECASE), r"\1[secret]"),
    # A field of a query or of a connection's settings: …?token=x&…
    (re.compile(rf"(?<![\w.-])((?:{_NAMES})=){_NOT}[^\s&#;,'\"]+", re.IGNORECASE), r"\1[secret]"),
    # The same in JSON, and as Python prints it.
    (
        re.compile(rf"((['\"])(?:{_NAMES})\2\s*:\s*(['\"])){_NOT}(?:(?!\3).)+", re.IGNORECASE),
        r"\1[secret]",
    ),
    (re.compile(rf"\b(Bearer|Basic)\s+{_NOT}(?=\S*[0-9=])[\w.~+/=-]{{8,}}"), r"\1 [secret]"),
    # Slack: tokens, and addresses that are secrets themselves.
    (re.compile(r"\bxox[a-z]-[\w-]{8,}"), HIDDEN),
    (re.compile(r"(\bhooks\.slack\.com/\w+/)[\w/-]+"), r"\1[secret]"),
)

_known: set[str] = set()


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
    """The text without any secret that was read so far, and without what looks like one.

    >>> hide("hunter2-hunter2")
    >>> redacted("Authorization: Bearer hunter2-hunter2")
    'Authorization: Bearer [secret]'
    >>> redacted("https://me:pass@host/x?token=4711&page=2 is refused; set token: env:TOKEN")
    'https://me:[secret]@host/x?token=[secret]&page=2 is refused; set token: env:TOKEN'
    """
    # Longest first: one may be the beginning of another.
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text
