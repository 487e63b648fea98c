"""An audit as one HTML file: no script, no address, nothing to load; phone, dark and print."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib.resources import files

from dashboards import answers_report, charts, fleet_report, phrases, tables, units
from dashboards.closing import embedded, footer
from dashboards.theme import DARK, LIGHT, Spec, svg
from nibai import document, fleet_document
from nibai.fleet import FleetAudit
from nibai.model import Audit, Exhibits
from nibai.protocols import Renderer

WIDE, NARROW = 740, 340
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
BAND = "The shaded band is the {level:.0%} interval; where it reaches the edge there is no bound."

Chart = Callable[[Audit, Exhibits], Spec | None]


@dataclass(frozen=True, slots=True)
class HtmlReport:
    """The self-contained report; `links` lead to pages beside it."""

    links: Mapping[str, str] = field(default_factory=dict)

    def render(self, audit: Audit) -> str:
        """The whole page; every text from outside is escaped."""
        body = [
            _header(audit),
            *(tables.sentence(result, audit) for result in audit.sentences),
            *answers_report.sections(audit, _drawn),
            *(_exhibit(audit, exhibits) for exhibits in audit.exhibits),
            tables.basis(audit),
            tables.notes(audit),
            footer(audit),
        ]
        title = f"{phrases.WORDS[audit.verdict]}: {phrases.question(audit)}"
        return self._page(title, body, "nibai-audit", embedded(document.dumps(audit)))

    def render_fleet(self, audit: FleetAudit) -> str:
        """The page about many endpoints."""
        forest = fleet_report.forest(audit)
        name = "Every endpoint in order of what was measured"
        body = [
            fleet_report.header(audit),
            "" if forest is None else _drawn(forest, name, fleet_report.drawn_caption(audit)),
            fleet_report.tables(audit),
            footer(audit),
        ]
        data = embedded(fleet_document.dumps(audit))
        return self._page(fleet_report.title(audit), body, "nibai-fleet", data)

    def _page(self, title: str, body: Iterable[str], name: str, data: str) -> str:
        """One self-contained page with the whole audit as data at its end."""
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f"<title>nibai: {escape(title)}</title>\n<style>\n{_style()}</style>\n</head>\n"
            f"<body>\n{self._linked()}<main>\n"
            + "\n".join(part for part in body if part)
            + f'\n</main>\n<script type="application/json" id="{name}">{data}</script>\n'
            "</body>\n</html>\n"
        )

    def _linked(self) -> str:
        """Where a reader of a server goes on; nothing in a file of its own."""
        if not self.links:
            return ""
        found = " ".join(
            f'<a href="{escape(address)}">{escape(text)}</a>'
            for text, address in self.links.items()
        )
        return f'<nav class="home" aria-label="nibai"><strong>nibai</strong> {found}</nav>\n'


def build(options: Mapping[str, object]) -> Renderer:
    """The renderer; `links` are texts and addresses of pages beside this one."""
    links = options.get("links")
    return HtmlReport(dict(links) if isinstance(links, Mapping) else {})


@cache
def _style() -> str:
    light = ";".join(f"--{name}:{value}" for name, value in LIGHT.items())
    dark = ";".join(f"--{name}:{value}" for name, value in DARK.items())
    return (
        f":root {{ color-scheme: light dark; {light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
        + files("dashboards").joinpath("report.css").read_text(encoding="utf-8")
    )


def _header(audit: Audit) -> str:
    mark, word = phrases.MARKS[audit.verdict], phrases.WORDS[audit.verdict]
    rows = "".join(
        f'<dt class="{role}">{role}</dt><dd>{escape(phrases.side_line(summary))}</dd>'
        for role, summary in (("baseline", audit.baseline), ("candidate", audit.candidate))
    )
    about = audit.change.description
    described = f"<p>{escape(about)}</p>" if about else ""
    return (
        f'<header class="{audit.verdict.value}"><span class="badge">{mark} {word}</span>\n'
        f"<h1>{escape(phrases.question(audit))}</h1>\n"
        f'<p class="why">{escape(audit.reason.text)}</p>{described}\n'
        f'<dl class="sides">{rows}</dl></header>'
    )


def _exhibit(audit: Audit, exhibits: Exhibits) -> str:
    metric = escape(exhibits.metric.replace("_", " "))
    band = BAND.format(level=audit.level)
    failed = tables.failed_shares(exhibits)
    shown = [
        _figure(
            f"How many times faster, by quantile: {metric}",
            f"Above 1x the candidate is better. {band} Signs mark the judged quantiles.",
            charts.speedup_curve,
            (audit, exhibits),
            tables.curve(exhibits),
        ),
        _figure(
            f"Both distributions of {metric}",
            f"Each step is one bin of the histogram. Dashed: the judged quantiles. {failed}",
            charts.distributions,
            (audit, exhibits),
        ),
        _figure(
            "By traffic segment",
            f"Bars are {audit.level:.0%} intervals of each segment on its own, not adjusted for "
            f"looking at several.{_beyond_the_forest(exhibits)}",
            charts.segment_forest,
            (audit, exhibits),
            tables.segments(exhibits),
        ),
        _figure(
            f"{metric.capitalize()} over time",
            "One point per block, one line per replica: p50 solid, p99 dashed.",
            charts.timeline,
            (audit, exhibits),
        ),
        _figure(
            "Raw against like for like",
            "Raw compares all requests as they came; like for like gives both sides the same "
            "traffic mix and, in live traffic, the same loads. The verdict is like for like.",
            charts.mix_effect,
            (audit, exhibits),
            tables.decomposition(exhibits),
        )
        or tables.no_mix_effect(exhibits),
        units.section(exhibits),
    ]
    return "\n".join(part for part in shown if part)


def _beyond_the_forest(exhibits: Exhibits) -> str:
    """Says how many segments the drawing leaves out; the table under it has every one."""
    count = len({row.segment for row in exhibits.segments})
    if count <= charts.FOREST_ROWS:
        return ""
    return f" Drawn: the first {charts.FOREST_ROWS} of {count} segments; the numbers list them all."


def _figure(
    title: str, caption: str, chart: Chart, given: tuple[Audit, Exhibits], numbers: str = ""
) -> str:
    spec = chart(*given)
    return "" if spec is None else _drawn(spec, title, caption, numbers)


def _drawn(spec: Spec, title: str, caption: str, numbers: str = "") -> str:
    drawings = "".join(
        f'<div class="{kind}">{_labelled(svg(spec, width), title)}</div>'
        for kind, width in (("wide", WIDE), ("narrow", NARROW))
    )
    return (
        f"<section><h2>{title}</h2><figure>{drawings}"
        f"<figcaption>{caption}</figcaption></figure>{numbers}</section>"
    )


def _labelled(drawing: str, title: str) -> str:
    """The drawing as one picture with a name for screen readers, without a fixed size."""
    return drawing.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
