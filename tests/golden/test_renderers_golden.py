"""What people see of an audit: terminal, Markdown and report, word by word."""

import re

import pytest
from support import audits

from dashboards import markdown, report, text

CASES = {
    "mixed": audits.mixed,
    "empty": audits.empty,
    "answered": audits.answered,
    "cost": audits.cost,
}


def without_drawings(html):
    """The words of a page; drawings and styles are looked at in a browser."""
    html = re.sub(r"<svg.*?</svg>", "<svg/>", html, flags=re.DOTALL)
    return re.sub(r"<style>.*?</style>", "<style/>", html, flags=re.DOTALL)


@pytest.mark.parametrize("case", CASES)
def test_terminal(case, golden):
    golden(f"audit_{case}.txt", text.build({"width": 100}).render(CASES[case]()))


def test_terminal_without_unicode(golden):
    golden("audit_mixed_ascii.txt", text.build({"ascii": True}).render(audits.mixed()))


@pytest.mark.parametrize("case", CASES)
def test_markdown(case, golden):
    golden(f"audit_{case}.md", markdown.build({}).render(CASES[case]()))


@pytest.mark.parametrize("case", CASES)
def test_report(case, golden):
    golden(f"audit_{case}.html", without_drawings(report.build({}).render(CASES[case]())))
