"""A fleet audit as Markdown; text from outside cannot inject markup."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dashboards import fleet_phrases, phrases
from nibai.fleet import FleetAudit


def render_fleet(audit: FleetAudit, escape: Callable[[str], str], emoji: Mapping[str, str]) -> str:
    """The whole answer."""
    verdict = phrases.WORDS[audit.verdict]
    worst, best = fleet_phrases.extremes(audit)
    parts = [
        f"### {emoji[audit.verdict.value]} {verdict}: {escape(fleet_phrases.question(audit))}",
        escape(f"{audit.scope}; {audit.reason}"),
        escape(fleet_phrases.truth(audit)),
        _table(
            ("verdict", "endpoints", "share", "of traffic"),
            [
                [
                    f"{emoji[verdict.value]} {phrases.WORDS[verdict]}",
                    f"{share.endpoints:,}",
                    f"{share.share:.1%}",
                    f"{share.traffic:.1%}",
                ]
                for verdict, share in fleet_phrases.tally(audit)
            ],
        ),
    ]
    for title, rows in (("Furthest below the claim", worst), ("Furthest above the claim", best)):
        if rows:
            cells = [[escape(cell) for cell in fleet_phrases.row(result)] for result in rows]
            parts += [f"**{title}**", _table(fleet_phrases.HEAD, cells)]
    lines = [*fleet_phrases.reasons(audit), *fleet_phrases.controlled(audit), *audit.notes]
    parts.append(
        "\n".join(
            [
                "<details><summary>Why the rest is open, and what is controlled</summary>",
                "",
                *(f"- {escape(line)}" for line in lines),
                "",
                f"nibai {escape(audit.nibai_version)} · audit `{audit.id}`",
                "</details>",
            ]
        )
    )
    return "\n\n".join(parts) + "\n"


def _table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [list(head), ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
