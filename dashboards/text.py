"""An audit in the terminal: the verdict in a sentence, one table per claim, what it rests on."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboards import answers, phrases, units
from dashboards.answers import Answers
from dashboards.fleet_text import print_fleet
from nibai.conventions import NOT_MEASURED
from nibai.fleet import FleetAudit
from nibai.model import Audit, Finding, SentenceResult, Verdict
from nibai.prediction_evidence import GateState
from nibai.protocols import Renderer

if TYPE_CHECKING:
    from rich.console import Console

COLOURS = {
    Verdict.CONFIRMED: "green",
    Verdict.REFUTED: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NOT_COMPARABLE: "bright_black",
    Verdict.PARTLY: "dark_orange",
}

GATE_COLOURS = {
    GateState.PASSED: "green",
    GateState.FAILED: "red",
    GateState.OPEN: "yellow",
    GateState.NOT_MEASURED: "bright_black",
}

MIN_WIDTH = 60


@dataclass(frozen=True, slots=True)
class TextRenderer:
    """Terminal text at a width, with or without colour; ASCII marks where asked."""

    width: int = 100
    color: bool = False
    ascii_only: bool = False

    def render(self, audit: Audit) -> str:
        """The whole answer."""
        buffer, console = self._console()
        self._head(console, audit)
        for result in audit.sentences:
            self._sentence(console, result, said=audit.reason.text)
        for found in answers.answers(audit):
            self._answers(console, found)
        self._foot(console, audit)
        return self._text(buffer)

    def render_fleet(self, audit: FleetAudit) -> str:
        """The whole answer about many endpoints."""
        buffer, console = self._console()
        print_fleet(console, audit, COLOURS, ascii_only=self.ascii_only)
        return self._text(buffer)

    def _console(self) -> tuple[io.StringIO, Console]:
        # rich costs 70 ms to import and only this renderer needs it.
        from rich.console import Console as Terminal  # noqa: PLC0415

        buffer = io.StringIO()
        console = Terminal(
            file=buffer,
            width=max(self.width, MIN_WIDTH),
            force_terminal=self.color,
            no_color=not self.color,
            color_system="256" if self.color else None,
            highlight=False,
            emoji=False,
            markup=False,
            legacy_windows=False,
        )
        return buffer, console

    def _text(self, buffer: io.StringIO) -> str:
        lines = (line.rstrip() for line in buffer.getvalue().splitlines())
        text = "\n".join(lines).strip("\n") + "\n"
        return _to_ascii(text) if self.ascii_only else text

    def _head(self, console: Console, audit: Audit) -> None:
        from rich.text import Text  # noqa: PLC0415 - see render

        style = f"bold {COLOURS[audit.verdict]}"
        head = Text(
            f"{phrases.MARKS[audit.verdict]} {phrases.WORDS[audit.verdict].upper()}", style=style
        )
        console.print(Text.assemble(head, ("  " + phrases.question(audit), "bold")))
        console.print(audit.reason.text)
        console.print()
        _hang(console, "baseline   ", phrases.side_line(audit.baseline))
        _hang(console, "candidate  ", phrases.side_line(audit.candidate))

    def _sentence(self, console: Console, result: SentenceResult, said: str) -> None:
        from rich.box import ASCII, SIMPLE_HEAD  # noqa: PLC0415 - see render
        from rich.table import Table  # noqa: PLC0415 - see render
        from rich.text import Text  # noqa: PLC0415 - see render

        table = Table(
            box=ASCII if self.ascii_only else SIMPLE_HEAD,
            title=Text(f"“{result.sentence.text}”: {phrases.WORDS[result.verdict]}"),
            title_justify="left",
            title_style="bold",
            pad_edge=False,
        )
        table.add_column("part", no_wrap=True)
        table.add_column("traffic", overflow="fold", min_width=len("all traffic"))
        table.add_column("measured", no_wrap=True)
        table.add_column(f"{_level(result):.0%} interval", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        for finding in result.findings:
            style = COLOURS[finding.verdict]
            table.add_row(
                Text(phrases.part_label(finding.claim)),
                Text(phrases.segment_label(finding.claim)),
                Text(phrases.measured(finding)),
                Text(phrases.interval(finding)),
                Text(
                    f"{phrases.MARKS[finding.verdict]} {phrases.WORDS[finding.verdict]}",
                    style=style,
                ),
            )
        console.print()
        console.print(table)
        for text in phrases.false_alarms(result):
            console.print(Text(text))
        for text in dict.fromkeys(finding.reason.text for finding in result.findings):
            if text != said:
                _hang(console, "• ", text)

    def _answers(self, console: Console, found: Answers) -> None:
        from rich.box import ASCII, SIMPLE_HEAD  # noqa: PLC0415 - see render
        from rich.table import Table  # noqa: PLC0415 - see render
        from rich.text import Text  # noqa: PLC0415 - see render

        console.print()
        console.print(Text(found.title, style="bold"))
        console.print(Text(answers.basis(found.evidence)))
        if found.gates:
            table = Table(box=ASCII if self.ascii_only else SIMPLE_HEAD, pad_edge=False)
            for name in ("gate", "measured", "interval", "margin", "state"):
                table.add_column(name, no_wrap=True)
            for gate in found.gates:
                *cells, state = answers.gate_row(gate)
                style = GATE_COLOURS[gate.state]
                table.add_row(*(Text(cell) for cell in cells), Text(state, style=style))
            console.print(table)
        for line in answers.facts(found.evidence):
            _hang(console, "• ", line)

    def _foot(self, console: Console, audit: Audit) -> None:
        findings = [finding for finding in audit.findings if any(finding.evidence.requests)]
        if findings:
            console.print()
            console.print("What it rests on", style="bold")
            for line in _basis(findings):
                _hang(console, "  ", line)
        for exhibits in audit.exhibits:
            if exhibits.units:
                console.print()
                console.print(units.title(exhibits), style="bold")
                for line in units.lines(exhibits):
                    _hang(console, "  ", line)
        notes = list(dict.fromkeys([*audit.notes, *_finding_notes(findings)]))
        if notes:
            console.print()
            console.print("Notes", style="bold")
            for note in notes:
                _hang(console, "  - ", note)


def build(options: Mapping[str, object]) -> Renderer:
    """The renderer; options `width` (100), `color` (False), `ascii` (False)."""
    return TextRenderer(
        width=int(str(options.get("width", 100))),
        color=bool(options.get("color", False)),
        ascii_only=bool(options.get("ascii", False)),
    )


def _hang(console: Console, mark: str, text: str) -> None:
    """A paragraph behind a mark; its further lines stand under its first word."""
    from rich.table import Table  # noqa: PLC0415 - see render
    from rich.text import Text  # noqa: PLC0415 - see render

    grid = Table.grid()
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(mark), Text(text))
    console.print(grid)


def _basis(findings: list[Finding]) -> list[str]:
    """One line per different basis, naming the parts it carries."""
    lines: dict[str, list[str]] = {}
    for finding in findings:
        label = phrases.part_label(finding.claim)
        if finding.claim.segment is not None:
            label += f" {phrases.segment_label(finding.claim)}"
        lines.setdefault(phrases.rests_on(finding), []).append(label)
    return [f"{', '.join(labels)}: {line}" for line, labels in lines.items()]


def _finding_notes(findings: list[Finding]) -> list[str]:
    notes = []
    for finding in findings:
        evidence = finding.evidence
        label = phrases.part_label(finding.claim)
        if evidence.mix_effect is not None and abs(evidence.mix_effect - 1) >= 0.005:  # noqa: PLR2004 - visible
            raw = "unknown" if evidence.raw_ratio is None else f"{evidence.raw_ratio:.2f}x"
            notes.append(
                f"{label}: raw ratio {raw}; the traffic mix explains a factor of "
                f"{evidence.mix_effect:.2f}, the verdict is like for like"
            )
        load = 0.0 if evidence.terms is None else evidence.terms.get("load", 0.0)
        if abs(load) >= 0.007:  # noqa: PLR2004 - half a per cent
            notes.append(f"{label}: other loads explain a factor of {2.0**load:.2f}")
        if evidence.censored_share and max(evidence.censored_share) > 0:
            b, c = evidence.censored_share
            notes.append(f"failed or missing requests: {b:.2%} and {c:.2%}, counted as slowest")
        notes += [note for note in evidence.notes if note != NOT_MEASURED]
    return notes


def _level(result: SentenceResult) -> float:
    levels = [finding.estimate.level for finding in result.findings if finding.estimate]
    return levels[0] if levels else 0.95


def _to_ascii(text: str) -> str:
    table = {"✔": "+", "✘": "x", "≠": "!", "◐": "~", "“": '"', "”": '"', "–": "-", "·": "|"}
    table |= {"→": "->", "•": "*", "×": "x", "∞": "inf", "…": "...", "─": "-", "━": "-"}
    for sign, plain in table.items():
        text = text.replace(sign, plain)
    return text.encode("ascii", "replace").decode("ascii")
