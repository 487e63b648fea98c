"""Every rendering of a fleet audit, word by word; the drawing of the page is left out."""

import re

import pytest
from support.fleet_audits import HOSTILE, fleet

from dashboards.markdown import MarkdownRenderer
from dashboards.report import HtmlReport
from dashboards.text import TextRenderer


def test_text(golden):
    golden("fleet.txt", TextRenderer().render_fleet(fleet()))
    golden("fleet_ascii.txt", TextRenderer(width=80, ascii_only=True).render_fleet(fleet()))


def test_markdown(golden):
    golden("fleet.md", MarkdownRenderer().render_fleet(fleet(any_dependence=True, correlation=0.0)))


def test_continuous(golden):
    audit = fleet(continuous=True, correlation=0.0)
    golden("fleet_continuous.txt", TextRenderer().render_fleet(audit))


def test_page(golden):
    page = HtmlReport().render_fleet(fleet())
    assert page.count("<svg") == 2
    assert HOSTILE not in page
    golden(
        "fleet.html",
        re.sub(r"(<style>).*?(</style>)|<svg.*?</svg>", r"\1\2", page, flags=re.DOTALL),
    )


def test_nothing_measured_draws_nothing():
    bare = fleet(endpoints=tuple(r for r in fleet().endpoints if r.parts[0].estimate is None))
    assert "<svg" not in HtmlReport().render_fleet(bare)
    assert "Furthest" not in TextRenderer().render_fleet(bare)


@pytest.mark.parametrize("width", [60, 200])
def test_no_line_is_wider_than_the_terminal(width):
    text = TextRenderer(width=width).render_fleet(fleet())
    assert all(len(line) <= width for line in text.splitlines())
