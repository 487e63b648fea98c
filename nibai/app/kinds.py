"""Kinds of change as people say them: a type of precision is a kind, too."""

from __future__ import annotations

from collections.abc import Sequence

from nibai.conventions import PRECISION, PRECISIONS
from nibai.errors import UsageError
from nibai.model import ChangeKind


def change_kinds(kinds: Sequence[str]) -> tuple[tuple[ChangeKind, ...], dict[str, str]]:
    """Kinds of change as people say them, "int8" for precision int8; and what the change notes.

    >>> change_kinds(["int8", "compilation"])[1]
    {'precision': 'int8'}
    """
    precisions = [kind for kind in PRECISIONS if kind in kinds]  # the strictest first
    evidence = {PRECISION: precisions[0]} if precisions else {}
    names = [ChangeKind.PRECISION if kind in PRECISIONS else kind for kind in kinds]
    unknown = sorted({str(name) for name in names} - set(ChangeKind))
    if unknown:
        known = ", ".join((*ChangeKind, *PRECISIONS))
        raise UsageError(f"no kind of change is called {unknown[0]!r}: there are {known}")
    return tuple(dict.fromkeys(ChangeKind(name) for name in names)), evidence


TIERS = ("default", "priority", "flex", "reserved", "optimized")
"""How a Bedrock model serves requests: service tiers, and optimized latency."""


def tiers(text: str) -> str:
    """Two tiers as a change notes them.

    >>> tiers("default,flex")
    'default -> flex'
    """
    found = [one.strip() for one in text.split(",")]
    if len(found) != 2 or set(found) - set(TIERS):  # noqa: PLR2004 - from and to
        raise UsageError(f"--tier {text!r}: write FROM,TO, each of them one of {', '.join(TIERS)}")
    return " -> ".join(found)
