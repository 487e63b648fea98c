"""A name that a service does not know, told with what it knows in its place."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

SHOWN = 5
"""As many of the names that there are."""


def unknown_name(knows: str, word: str, value: str, there: Collection[str], looked: str) -> str:
    """Object, fact, remedy; the nearest name first.

    >>> unknown_name("CloudWatch lists", "endpoint", "chta", ["chat", "ocr"], "two weeks")
    ... # doctest: +NORMALIZE_WHITESPACE
    "CloudWatch lists no endpoint 'chta' in two weeks, but chat, ocr: did you mean chat; correct it
    in nibai.yaml, unless it had no requests so far"
    """
    near = get_close_matches(value, sorted(there), n=1)
    shown = [*near, *sorted(set(there) - set(near))][:SHOWN]
    but = f", but {', '.join(shown)}" if shown else ""
    meant = f": did you mean {near[0]}" if near else ""
    return (
        f"{knows} no {word} {value!r} in {looked}{but}{meant}; correct it in nibai.yaml, unless it "
        "had no requests so far"
    )
