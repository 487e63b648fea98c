"""An audit as Markdown for a pull request; text from outside cannot inject markup."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dashboards import answers, fleet_markdown, phrases, units
from dashboards.answers import Answers
from nibai.fleet import FleetAudit
from nibai.model import Audit, Finding, SentenceResult
from nibai.protocols import Renderer

EMOJI = {
    "confirmed": "🟢",
    "refuted": "🔴",
    "inconclusive": "🟡",
    "not_comparable": "⚪",
    "partly": "🟠",
}


class MarkdownRenderer:
    """GitHub-flavoured Markdown."""

    def render(self, audit: Audit) -> str:
        """The whole answer."""
        verdict = phrases.WORDS[audit.verdict]
        parts = [
            f"### {EMOJI[audit.verdict.value]} {verdict}: {escape(phrases.question(audit))}",
            escape(audit.reason.text),
            "\n".join(
                [
                    f"- **baseline** {escape(phrases.side_line(audit.baseline))}",
                    f"- **candidate** {escape(phrases.side_line(audit.candidate))}",
                ]
            ),
            *(_sentence(result) for result in audit.sentences),
            *(_answers(found) for found in answers.answers(audit)),
            _details(audit),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    def render_fleet(self, audit: FleetAudit) -> str:
        """The whole answer about many endpoints."""
        return fleet_markdown.render_fleet(audit, escape, EMOJI)


def build(options: Mapping[str, object]) -> Renderer:
    """The renderer; it has no options."""
    del options
    return MarkdownRenderer()


def escape(text: str) -> str:
    r"""Text that Markdown shows as it is: no markup, links, mentions or HTML.

    >>> escape("<b>*x*</b> @all #1")
    '&lt;b&gt;\\*x\\*&lt;/b&gt; &#64;all &#35;1'
    """
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = re.sub(r"([\\\\`*_{}\[\]|~!])", r"\\\1", safe)
    return re.sub(r"\s+", " ", _references(safe))


def _references(text: str) -> str:
    """Mentions and issue references lose their effect; entities stay whole."""
    return re.sub(r"@", "&#64;", re.sub(r"(?<!&)#(?=\w)", "&#35;", text))


def _sentence(result: SentenceResult) -> str:
    rows = ["| part | traffic | measured | interval | verdict |", "|---|---|---|---|---|"]
    rows += [_row(finding) for finding in result.findings]
    wrong = [escape(line) for line in phrases.false_alarms(result)]
    return "\n".join([*rows, "", *wrong])


def _row(finding: Finding) -> str:
    cells = [
        escape(phrases.part_label(finding.claim)),
        escape(phrases.segment_label(finding.claim)),
        escape(phrases.measured(finding)),
        escape(phrases.interval(finding)),
        f"{EMOJI[finding.verdict.value]} {phrases.WORDS[finding.verdict]}",
    ]
    return "| " + " | ".join(cells) + " |"


def _answers(found: Answers) -> str:
    rows = ["| gate | measured | interval | margin | state |", "|---|---|---|---|---|"]
    rows += [
        "| " + " | ".join(escape(cell) for cell in answers.gate_row(gate)) + " |"
        for gate in found.gates
    ]
    facts = [f"- {escape(line)}" for line in answers.facts(found.evidence)]
    parts = [f"**{escape(found.title)}** {escape(answers.basis(found.evidence))}"]
    return "\n\n".join([*parts, *(["\n".join(rows)] if found.gates else []), "\n".join(facts)])


def _details(audit: Audit) -> str:
    lines = ["<details><summary>Reasons and evidence</summary>", ""]
    for finding in audit.findings:
        label = escape(phrases.part_label(finding.claim))
        lines.append(f"- **{label}** {escape(finding.reason.text)}")
        if any(finding.evidence.requests):
            lines.append(f"  - rests on {escape(phrases.rests_on(finding))}")
    for exhibits in audit.exhibits:
        lines += [f"- {exhibits.unit}s of the {escape(line)}" for line in units.lines(exhibits)]
    lines += [f"- {escape(note)}" for note in audit.notes]
    lines += ["", f"nibai {escape(audit.nibai_version)} · audit `{audit.id}`", "</details>"]
    return "\n".join(lines)
