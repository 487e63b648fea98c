"""Measurements written as text, such as "12ms" beside "0.3s": SQL that reads them as numbers."""

from __future__ import annotations

from nibai.store.engine.sql import literal

UNIT_FACTORS = {
    "s": 1.0, "ms": 1e-3, "us": 1e-6, "\N{MICRO SIGN}s": 1e-6, "\N{GREEK SMALL LETTER MU}s": 1e-6,
    "ns": 1e-9,
}  # fmt: skip
NUMBER = rf"^\s*([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*({'|'.join(UNIT_FACTORS)})?\s*$"
INFINITE = r"^\s*[+-]?(?i:inf(inity)?)\s*$"
"""A request that never ended; it needs no unit."""

NO_VALUE = ("", "nan", "null", "none", "n/a", "na", "-")
"""What stands where nothing was measured; counted like an empty value."""


def seconds_of_text(name: str, factor: float | None) -> str:
    """Values in base units; `factor` is for numbers without a unit (None: there are none)."""
    unit = f"regexp_extract({name}, '{NUMBER}', 2)"
    number = f"try_cast(regexp_extract({name}, '{NUMBER}', 1) AS DOUBLE)"
    cases = " ".join(f"WHEN '{u}' THEN {f!r}" for u, f in UNIT_FACTORS.items())
    finite = f"{number} * CASE {unit} {cases} ELSE {factor or 1.0!r} END"
    return f"(CASE WHEN {_infinite(name)} THEN trim({name})::DOUBLE ELSE {finite} END)"


def no_number(name: str, factor: float | None) -> str:
    """Condition of a text that is no number, or has no unit although every number needs one."""
    absent = ", ".join(map(literal, NO_VALUE))
    unit = "" if factor is not None else f" OR regexp_extract({name}, '{NUMBER}', 2) = ''"
    return (
        f"lower(trim({name})) NOT IN ({absent}) AND NOT {_infinite(name)} "
        f"AND (NOT regexp_matches({name}, '{NUMBER}'){unit})"
    )


def _infinite(name: str) -> str:
    return f"coalesce(regexp_matches({name}, '{INFINITE}'), false)"
