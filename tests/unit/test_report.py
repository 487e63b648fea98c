"""The report stands alone, escapes what comes from outside, and its charts show the audit."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from support import audits

from dashboards import axes, charts, layers, markdown, report, theme
from nibai.document import to_document
from nibai.model import TimelinePoint

FACTORIES = (
    charts.speedup_curve,
    charts.distributions,
    charts.segment_forest,
    charts.timeline,
    charts.mix_effect,
)
LOADS = re.compile(r"""(?:src|href)\s*=|url\((?!#)|@import|<(?:link|iframe|object|embed|base)\b""")


class Elements(HTMLParser):
    """Tags and attributes that a browser would see."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs


@pytest.fixture(scope="module")
def page():
    return report.build({}).render(audits.mixed())


def without_data(html):
    return re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def test_nothing_is_loaded_from_anywhere(page):
    assert not LOADS.findall(without_data(page))
    assert "default-src &#x27;none&#x27;" in page


def test_parts_of_drawings_have_their_own_names(page):
    names = re.findall(r'\bid="([^"]+)"', without_data(page))
    assert len(set(names)) == len(names)
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(names)


def test_a_report_stays_small(page):
    assert len(page.encode()) < 1_500_000


def test_the_whole_audit_is_embedded_as_json(page):
    data = re.search(r'id="nibai-audit">(.*?)</script>', page, re.DOTALL)[1]
    assert json.loads(data) == to_document(audits.mixed())


def test_texts_from_outside_never_become_markup():
    html = report.build({}).render(audits.hostile())
    elements = Elements(html)
    assert elements.tags.count("script") == 1, "only the JSON document"
    assert "img" not in elements.tags
    assert not [name for name, _ in elements.attributes if name.startswith("on")]
    assert "alert(1)" in html, "the text itself is shown"
    assert audits.HOSTILE not in markdown.build({}).render(audits.hostile())


def test_every_picture_has_a_name_and_both_widths(page):
    pictures = re.findall(r"<svg role=\"img\" aria-label=\"[^\"]+\"", page)
    assert len(pictures) == 2 * len(FACTORIES)
    assert page.count('class="wide"') == page.count('class="narrow"') == len(FACTORIES)


def test_drawings_take_their_colours_from_the_page(page):
    drawings = " ".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert "var(--baseline)" in drawings
    assert not [value for value in theme.LIGHT.values() if value in drawings]


def test_colours_are_unambiguous_and_complete():
    assert len(set(theme.LIGHT.values())) == len(theme.LIGHT)
    assert theme.LIGHT.keys() == theme.DARK.keys()


@pytest.mark.parametrize("name", sorted(theme.LIGHT.keys() - {"grid", "surface", "page"}))
@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_text_and_signs_are_readable(palette, name):
    least = 3.0 if name in ("baseline", "candidate") else 4.5
    assert contrast(palette[name], palette["surface"]) >= least


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("factory", FACTORIES, ids=lambda factory: factory.__name__)
def test_charts_are_pictures_too(factory):
    audit = audits.mixed(infinite=True)
    assert theme.png(factory(audit, audit.exhibits[0])).startswith(b"\x89PNG")


@pytest.mark.parametrize("factory", FACTORIES, ids=lambda factory: factory.__name__)
def test_without_data_there_is_no_chart(factory):
    audit = audits.empty()
    assert factory(audit, audit.exhibits[0]) is None


def test_without_segments_the_missing_charts_are_explained():
    html = report.build({}).render(audits.mixed(segments=()))
    assert "By traffic segment" not in html
    audit = audits.mixed()
    same = replace(audit.exhibits[0].decomposition[0], raw=1.144, mix=0.0)
    exhibits = replace(audit.exhibits[0], segments=(), decomposition=(same,))
    assert "no traffic segments were given" in report.build({}).render(
        replace(audit, exhibits=(exhibits,))
    )


def test_an_interval_without_bound_reaches_the_edge():
    audit = audits.mixed(infinite=True)
    spec = charts.speedup_curve(audit, audit.exhibits[0])
    band = spec["layer"][0]
    domain = band["encoding"]["y"]["scale"]["domain"]
    assert band["data"]["values"][-1]["high"] == domain[1]


def test_the_claim_line_is_the_threshold_that_was_judged():
    audit = audits.mixed()
    spec = charts.speedup_curve(audit, audit.exhibits[0])
    lines = spec["layer"][2]["data"]["values"]
    assert [line["label"] for line in lines] == ["no change", "claim 2x"]


def test_sides_far_apart_in_time_start_at_zero():
    near = [TimelinePoint("baseline", "a", 1.7e9 + i * 60, 0.5, 1.0, 9) for i in range(9)]
    after = [replace(p, side="candidate", start=p.start + 600) for p in near]
    later = [replace(p, side="candidate", start=p.start + 7200) for p in near]
    assert layers.together([*near, *after])
    assert not layers.together([*near, *later])
    rows = layers.moment_rows([*near, *later], by_clock=False)
    assert {row["time"] for row in rows} == {float(i) for i in range(9)}


@pytest.mark.parametrize("span", [(0.99, 1.01), (0.5, 2.2), (0.001, 900.0), (3e-6, 4e-6)])
def test_axes_have_a_few_round_ticks_inside(span):
    found = axes.ticks(*span)
    assert 2 <= len(found) <= 9
    assert all(span[0] * 0.999 <= value <= span[1] * 1.001 for value in found)


def test_a_drawing_of_some_segments_says_how_many_there_are():
    many = report.build({}).render(audits.mixed(segments=tuple(f"s{i}" for i in range(40))))
    assert "Drawn: the first 16 of 40 segments" in many
    assert "s39" in without_data(many)
    assert "Drawn: the first" not in report.build({}).render(audits.mixed())
