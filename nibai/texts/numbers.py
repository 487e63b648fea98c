"""The number that an answer comes to, for arithmetic and extraction tasks."""

from __future__ import annotations

import math
import re

TAIL_CHARACTERS = 2_000
"""The answer stands at the end: only this much of the text is searched."""

SAME = 1e-6
"""Relative difference below which two numbers are the same answer."""

_NUMBER = r"[-+−]?(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,3})?"
_MARKED = re.compile(rf"(?:####|\\boxed\{{|\banswer(?: is)?:?)\s*\$?\s*({_NUMBER})", re.IGNORECASE)
_ANY = re.compile(rf"(?<![\w.]){_NUMBER}")


def final_number(text: str) -> float | None:
    r"""The number marked as the answer (`####`, `\boxed{}`, "answer is"), else the last one.

    Commas are read as thousands, a full stop as the decimal sign.

    >>> final_number("3 + 4 = 7, so the answer is 1,007.50 dollars"), final_number("none")
    (1007.5, None)
    """
    tail = text[-TAIL_CHARACTERS:]
    found = _MARKED.findall(tail) or _ANY.findall(tail)
    if not found:
        return None
    value = float(found[-1].replace(",", "").replace("\u2212", "-"))
    return value if math.isfinite(value) else None


def same_number(one: float | None, other: float | None) -> bool:
    """Whether both are the same answer; none equals none only.

    >>> same_number(0.1 + 0.2, 0.3), same_number(7.0, None)
    (True, False)
    """
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=SAME, abs_tol=1e-12)
