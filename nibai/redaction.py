"""Texts without secrets: those that were read, and what looks like one wherever it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

HIDDEN = "[secret]"
SHOWN = rf"\1{HIDDEN}"
LEAST_LENGTH = 6
"""What is shorter would be found in words that are none."""

_NAMES = (
    r"[\w.-]{0,60}(?:token|secret|passw(?:or)?d|passphrase|credentials?|signature"
    r"|(?:api|access|private|routing|integration|service)[_-]?key)|pwd|sig|auth"
)
"""How a name ends; `prompt_tokens=512` is none. Bounded: a text may be one long word."""
_NOT = rf"(?!env:|file:|…|{re.escape(HIDDEN)})"
"""A reference is no secret, and what is hidden already stays as it is."""

_NAME = re.compile(_NAMES, re.IGNORECASE)
_REFERENCE = re.compile("(?:env|file):")
_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE | re.MULTILINE), instead)
    for pattern, instead in (
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END[^-]*-----|\Z)", HIDDEN),
        # The password of an address; it may hold an @ of its own, that of a database a / too.
        (r"(?<![\w+.-])([a-z][\w+.-]{0,30}://[^\s/:@?#]{0,100}:)[^\s/?#]{1,200}(?=@)", SHOWN),
        (
            r"(?<![\w+.-])((?!https?:)[a-z][\w+.-]{0,30}://[^\s/:@?#]{0,100}:)[^\s\"'?#]{1,200}(?=@)",
            SHOWN,
        ),
        # A long user with digits is a token.
        (
            r"(?<![\w+.-])([a-z][\w+.-]{0,30}://)(?=[^\s/:@?#]{0,100}\d)[^\s/:@?#]{16,200}(?=@)",
            SHOWN,
        ),
        # A field of a query or of a connection's settings: …?token=x&…
        (rf"(?<![\w.-])((?:{_NAMES})=){_NOT}[^\s&#;,'\"]+", SHOWN),
        (rf"([?&](?:key|code)=){_NOT}[^\s&#'\"]+", SHOWN),
        # The same in JSON, and as Python prints it.
        (rf"((['\"])(?:{_NAMES})\2\s*:\s*(['\"])){_NOT}(?:\\.|(?!\3).)+", SHOWN),
        # The same in YAML: alone on its line.
        (
            rf"^([ \t]*(?:- +)?(?:{_NAMES}): +['\"]?){_NOT}[^\s'\"]+(?=['\"]?[ \t]*$)",
            SHOWN,
        ),
        # Headers.
        (rf"\b((?:Bearer|Basic|Token|ApiKey)\s+){_NOT}(?=\S*[0-9=])[\w.~+/=-]{{8,}}", SHOWN),
        (
            rf"\b((?:x-[\w-]{1, 60}-(?:key|token)|api-?key|private-token): ?){_NOT}[\w.~+/=-]+",
            SHOWN,
        ),
        # What is a secret by its form: tokens of Slack, Grafana and GitHub, signed tokens.
        (r"\b(?:xox[a-z]-|xapp-|glsa_|gh[a-z]_|github_pat_)[\w-]{8,}", HIDDEN),
        (r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+", HIDDEN),
        # Addresses that are secrets themselves.
        (r"(\bhooks\.slack\.com/\w+/)[\w/-]+", SHOWN),
        (r"(/api/webhooks/\d+/|\.webhook\.office\.com/\w+/)[^\s'\"]+", SHOWN),
        (r"(\bapi\.telegram\.org/bot)[\w:-]+", SHOWN),
    )
)

_known: set[str] = set()


def hide(secret: str | None) -> None:
    """From now on `redacted` leaves it out, also as part of an address."""
    if secret and len(secret) >= LEAST_LENGTH:
        _known.update({secret, quote(secret, safe="")})


def hide_password(address: str | None) -> None:
    """The password in an address of a database or server."""
    found = re.fullmatch(r"[\w+.-]+://[^:@/]*:(.*)@.*", address or "", re.DOTALL)
    if found is not None:
        hide(found[1])
        hide(unquote(found[1]))


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


def redacted_values(document: object) -> object:
    """Plain data whose texts are redacted; what stands under a secret's name is hidden whole.

    >>> redacted_values({"url": "https://me:pass@host", "token": "4711", "key": "env:KEY"})
    {'url': 'https://me:[secret]@host', 'token': '[secret]', 'key': 'env:KEY'}
    """
    if isinstance(document, str):
        return redacted(document)
    if isinstance(document, Mapping):
        return {key: _under(key, value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [redacted_values(one) for one in document]
    return document


def _under(key: object, value: object) -> object:
    if isinstance(value, str) and value and _NAME.fullmatch(str(key)) is not None:
        return value if _REFERENCE.match(value) else HIDDEN
    return redacted_values(value)
