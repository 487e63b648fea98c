"""Names from attributes: of whatever length and signs they come, short and on one line."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from collector.otlp.attributes import Attributes

LONGEST_NAME = 256
"""Characters; every series carries its names in every one of its lines of `/metrics`."""

DIGEST = 16


def first_name(attributes: Attributes, names: Sequence[str]) -> str:
    """What the first of these attributes that says something says; empty where none does."""
    found = (bounded_name(str(attributes[name])) for name in names if name in attributes)
    return next(filter(None, found), "")


def bounded_name(text: str) -> str:
    """A name without control signs and space around it; a very long one ends in its digest.

    >>> bounded_name(" chat" + chr(10) + "prod "), len(bounded_name("x" * 5000))
    ('chat prod', 256)
    """
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() or _is_half(sign) else " " for sign in text)
    text = text.strip()
    if len(text) <= LONGEST_NAME:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST]
    return f"{text[: LONGEST_NAME - DIGEST - 1]}~{digest}"


def _is_half(sign: str) -> bool:
    """Half of a surrogate pair: no text, which is said of the whole request."""
    return "\ud800" <= sign <= "\udfff"


def token_bucket(tokens: float, bounds: Sequence[int]) -> str:
    """The token bucket of a request.

    >>> [token_bucket(tokens, (128, 1024)) for tokens in (100, 500, 5000)]
    ['<=128', '129-1024', '>1024']
    """
    low = 0
    for bound in sorted(bounds):
        if tokens <= bound:
            return f"{low + 1}-{bound}" if low else f"<={bound}"
        low = bound
    return f">{low}"
