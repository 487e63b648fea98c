"""A fleet audit in the terminal: shares first, then both ends of the order, then why the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dashboards import fleet_phrases, phrases
from nibai.fleet import EndpointResult, FleetAudit

if TYPE_CHECKING:
    from rich.console import Console

    from nibai.model import Verdict


def print_fleet(
    console: Console, audit: FleetAudit, colours: dict[Verdict, str], *, ascii_only: bool
) -> None:
    """Print the whole answer."""
    from rich.text import Text  # noqa: PLC0415 - rich is slow to import

    mark, word = phrases.MARKS[audit.verdict], phrases.WORDS[audit.verdict].upper()
    head = Text(f"{mark} {word}", style=f"bold {colours[audit.verdict]}")
    console.print(Text.assemble(head, (f"  {fleet_phrases.question(audit)}", "bold")))
    console.print(audit.scope)
    console.print()
    total = len(audit.endpoints)
    for verdict, share in fleet_phrases.tally(audit):
        console.print(
            Text.assemble(
                (f"{phrases.MARKS[verdict]} {phrases.WORDS[verdict]:<15}", colours[verdict]),
                f"{share.endpoints:>7,} of {total:,}  {share.share:>6.1%} of endpoints"
                f"  {share.traffic:>6.1%} of traffic",
            )
        )
    console.print()
    console.print(fleet_phrases.truth(audit), style="bold")
    worst, best = fleet_phrases.extremes(audit)
    for title, rows in (("Furthest below the claim", worst), ("Furthest above the claim", best)):
        claim = audit.claims[0] if len(audit.claims) == 1 else None
        _table(console, title, rows, claim, ascii_only=ascii_only)
    for title, lines in (
        ("Why the rest is open", fleet_phrases.reasons(audit)),
        ("What is controlled", fleet_phrases.controlled(audit)),
        ("Notes", audit.notes),
    ):
        if lines:
            console.print()
            console.print(title, style="bold")
            for line in lines:
                console.print(Text(f"  - {line}"))
    console.print()
    console.print(f"audit {audit.id}, {phrases.moment(audit.created_at)}")


def _table(
    console: Console,
    title: str,
    rows: Sequence[EndpointResult],
    claim: str | None,
    *,
    ascii_only: bool,
) -> None:
    from rich.box import ASCII, SIMPLE_HEAD  # noqa: PLC0415 - see print_fleet
    from rich.table import Table  # noqa: PLC0415 - see print_fleet
    from rich.text import Text  # noqa: PLC0415 - see print_fleet

    if not rows:
        return
    table = Table(
        box=ASCII if ascii_only else SIMPLE_HEAD,
        title=Text(title),
        title_justify="left",
        title_style="bold",
        pad_edge=False,
    )
    cells = [dict(zip(fleet_phrases.HEAD, fleet_phrases.row(r), strict=True)) for r in rows]
    # A part that is the whole claim stands above already; endpoints need the room.
    names = [n for n in fleet_phrases.HEAD if n != "part" or {c[n] for c in cells} != {claim}]
    for name in names:
        table.add_column(name, overflow="fold" if name in ("endpoint", "part") else "ellipsis")
    for row in cells:
        table.add_row(*(Text(row[name]) for name in names))
    console.print()
    console.print(table)
