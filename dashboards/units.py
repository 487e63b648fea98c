"""How much the hosts, replicas, runs or days of one side differ, in words and as a table."""

from __future__ import annotations

from html import escape

from dashboards.tables import numbers, quantity
from nibai.claims import quantile_label
from nibai.model import Exhibits, UnitRow

NAMED = 6
"""A side with more units names only the lowest and the highest."""


def title(exhibits: Exhibits) -> str:
    """The heading; empty when each side is one unit."""
    return f"{exhibits.unit.capitalize()}s of one side" if exhibits.units else ""


def lines(exhibits: Exhibits) -> list[str]:
    """One line per side and quantile, the differences in per cent and by name."""
    groups: dict[tuple[str, float], list[UnitRow]] = {}
    for row in exhibits.units:
        if row.ratio is not None:
            groups.setdefault((row.side, row.quantile), []).append(row)
    return [
        f"{side} {quantile_label(p)}: {_spread(exhibits.unit, rows)}"
        for (side, p), rows in groups.items()
    ]


def section(exhibits: Exhibits) -> str:
    """The section of the report: the lines, and every unit's numbers under them."""
    if not exhibits.units:
        return ""
    rows = [
        [
            escape(row.name),
            row.side,
            quantile_label(row.quantile),
            "–" if row.value is None else quantity(row.value, exhibits.value_unit),
            "–" if row.ratio is None else f"{row.ratio:.3f}",
            f"{row.requests:,}",
        ]
        for row in exhibits.units
    ]
    head = [exhibits.unit, "side", "quantile", "value", f"to the typical {exhibits.unit}", "n"]
    items = "".join(f"<li>{escape(line)}</li>" for line in lines(exhibits))
    return (
        f"<section><h2>{title(exhibits)}</h2><p>What units of one side differ by without any "
        f"change is no effect of the change.</p><ul>{items}</ul>{numbers(head, rows)}</section>"
    )


def _spread(unit: str, rows: list[UnitRow]) -> str:
    """The widest difference between two units.

    >>> rows = [UnitRow("baseline", n, 0.5, 1.0, r, 9) for n, r in (("a", 1.15), ("b", 0.87))]
    >>> _spread("host", rows)
    'differ by up to 32.2% (a 1.15x, b 0.87x the typical host)'
    """
    ordered = sorted(rows, key=lambda row: row.ratio or 0.0)
    low, high = ordered[0].ratio or 1.0, ordered[-1].ratio or 1.0
    if len(rows) == 1:
        return f"one {unit} ({rows[0].name})"
    shown = rows if len(rows) <= NAMED else [ordered[-1], ordered[0]]
    named = ", ".join(f"{row.name} {row.ratio:.2f}x" for row in shown)
    return f"differ by up to {high / low - 1:.1%} ({named} the typical {unit})"
