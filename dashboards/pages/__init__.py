"""The server's pages: plain HTML from templates with escaping on, no script, nothing to build."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dashboards.phrases import MARKS, WORDS
from dashboards.theme import DARK, LIGHT
from nibai.claims import quantile_label
from nibai.conventions import METRICS, metric_named
from nibai.model import Moved, Verdict
from nibai.protocols import (
    AuditsPage,
    BrokenPage,
    EndpointPage,
    EndpointsPage,
    MissingPage,
    Page,
    PageMaker,
    ProblemPage,
    RefusedPage,
)

HOME = files("dashboards.pages")
TEMPLATES: dict[type[Page], str] = {
    AuditsPage: "audits.html",
    EndpointsPage: "endpoints.html",
    EndpointPage: "endpoint.html",
    MissingPage: "missing.html",
    ProblemPage: "problem.html",
    RefusedPage: "refused.html",
    BrokenPage: "broken.html",
}


class Templates:
    """Pages from the templates beside this file."""

    def make(self, page: Page) -> str:
        """The whole document."""
        return _environment().get_template(TEMPLATES[type(page)]).render(page=page)


def build(options: Mapping[str, object]) -> PageMaker:
    """The maker; it has no options."""
    del options
    return Templates()


NOTICED = {
    Moved.WORSE: "slower or failing more",
    Moved.BETTER: "faster or failing less",
    Moved.ANSWERS: "other answers",
    Moved.TRAFFIC: "other requests",
}


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(str(HOME.joinpath("templates"))),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        moment=moment, iso=iso, mark=mark, word=word, path=path, quantile=quantile_label,
        seconds=value_text, age=age_text, noticed=NOTICED.__getitem__,
        quoted=shlex.quote,
    )  # fmt: skip
    made.globals.update(style=_style(), metrics=METRICS)
    return made


@cache
def _style() -> str:
    light, dark = (
        ";".join(f"--{name}:{value}" for name, value in colours.items())
        for colours in (LIGHT, DARK)
    )
    return (
        f":root {{ color-scheme: light dark; {light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
        + HOME.joinpath("pages.css").read_text(encoding="utf-8")
    )


def moment(seconds: float | None) -> str:
    """A moment in UTC.

    >>> moment(1764000000.0), moment(None)
    ('2025-11-24 16:00Z', '—')
    """
    if seconds is None:
        return "—"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%MZ")


def iso(seconds: float) -> str:
    """A moment for machines."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def age_text(seconds: float | None) -> str:
    """How long ago, in the largest unit that has two of it.

    >>> age_text(95.0), age_text(7300.0), age_text(None)
    ('95 s', '122 min', '—')
    """
    if seconds is None:
        return "—"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= (3 if unit == "h" else 2) * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def mark(verdict: str) -> str:
    """The sign of a verdict."""
    return MARKS[Verdict(verdict)]


def word(verdict: str) -> str:
    """The word of a verdict."""
    return WORDS[Verdict(verdict)]


def path(text: str) -> str:
    """A name as part of an address; its slashes stay.

    >>> path('onprem/tokyo/o?c"r')
    'onprem/tokyo/o%3Fc%22r'
    """
    return quote(text, safe="/")


def value_text(value: float | None, metric: str) -> str:
    """A quantile with its unit.

    >>> value_text(0.0123, "latency"), value_text(None, "latency"), value_text(7.0, "throughput")
    ('12.3 ms', 'not reached', '7 1/s')
    """
    if value is None:
        return "not reached"
    unit = metric_named(metric).unit
    if unit != "s":
        return f"{value:.3g} {unit}"
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
