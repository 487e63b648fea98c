"""The server's pages as they are made: what stands first, what is said where nothing is there.

And what readers without a mouse or with a screen reader rely on.
"""

import itertools
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from support import standings

from dashboards import pages
from dashboards.theme import DARK, LIGHT
from nibai.model import CollectorStanding, Verdict
from nibai.protocols import (
    AuditLine,
    AuditsPage,
    BrokenPage,
    EndpointLine,
    EndpointPage,
    EndpointsPage,
    MissingPage,
    ProblemPage,
    RefusedPage,
    SeriesLine,
)

T = standings.START
NAME = "sagemaker/123456789012.eu-west-1/chat-1"
LINE = EndpointLine(NAME, (("refuted", 1), ("confirmed", 2)), T, silent=True, noticed=2)
AUDIT = AuditLine("watch-1", T, "watch", "refuted", NAME, "c1", "p99 is 1.12x faster, not 2x")
COLLECTORS = (
    CollectorStanding("main", 42.0),
    CollectorStanding("cloudwatch", 7400.0, T, None),
    CollectorStanding("push", 30.0, None, None, T, 600.0),
    CollectorStanding("broken", None, None, "AccessDenied"),
)
CHANGE = standings.change()
STANDINGS = (
    standings.standing(CHANGE, "2x faster at p50", Verdict.REFUTED, reason="not 2x"),
    standings.standing(
        CHANGE, "not slower", no_data_since=T, reason="no data since 2025-11-25", superseded_by="c9"
    ),
)
SERIES = (SeriesLine("int8", "latency", 1234567, ((0.5, 0.0123), (0.99, None))),)
UNHEARD = "chat gren: never gave any model_latency: did you mean <green>?"
MADE = {
    "audits": AuditsPage((AUDIT,), (NAME,), "", 2, 3, COLLECTORS),
    "no audits": AuditsPage((), (), "", 1, 1, ()),
    "endpoints": EndpointsPage((LINE,), "chat", 1, 500, 1, 2),
    "no endpoints": EndpointsPage((), "", 0, 0, 1, 1),
    "unheard endpoints": EndpointsPage((LINE,), "", 1, 1, 1, 1, (UNHEARD,)),
    "endpoint": EndpointPage(LINE, STANDINGS, (standings.detection(),), SERIES, (AUDIT,)),
    "bare endpoint": EndpointPage(replace(LINE, verdicts=()), (), (), (), ()),
    "missing": MissingPage("endpoint x"),
    "problem": ProblemPage("/lake: cannot be read"),
    "refused": RefusedPage("a valid bearer token is required"),
    "broken": BrokenPage(),
}


class Outline(HTMLParser):
    """Tags in their order, with attributes, and the text of the body."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.said = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.said.append(data)

    def all(self, *names):
        return [attrs for tag, attrs in self.tags if tag in names]

    @property
    def text(self):
        return " ".join(" ".join(self.said).partition("Skip to the content")[2].split())


def outline(page):
    return Outline(pages.build({}).make(page))


@pytest.fixture(params=MADE, ids=str)
def made(request):
    return outline(MADE[request.param])


# -- what is said ------------------------------------------------------------------------------


def test_an_endpoint_says_first_how_its_claims_stand():
    said = outline(MADE["endpoint"]).text
    stands = "✘ 1 refuted ✔ 2 confirmed no new data 2 unannounced changes"
    assert said.startswith(f"nibai Endpoints Audits {NAME} {stands} Claims")
    assert said.count("no data since 2025-11-25") == 1
    assert "superseded by c9" in said
    assert "slower or failing more" in said
    assert "int8 latency 1,234,567 12.3 ms not reached" in said


def test_lists_say_where_one_is_and_what_is_wrong_with_collectors():
    said = outline(MADE["audits"]).text
    assert "Newest first, page 2 of 3" in said
    assert "Newer Older" in said
    assert "main reads 42 s" in said
    assert "cloudwatch quiet since 2025-11-25 00:00Z 123 min" in said
    assert "push nobody has sent since 2025-11-25 00:00Z 30 s" in said
    assert "broken fails: AccessDenied —" in said
    said = outline(MADE["endpoints"]).text
    assert "1 of 500 endpoints, what needs a look first; page 1 of 2" in said


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("no audits", "No audit yet. Declare a change ( nibai changes declare ): it is followed"),
        ("no endpoints", "No endpoint yet. Send spans to /v1/traces , or configure a source"),
        ("bare endpoint", f"Declare a change: nibai changes declare --endpoint {NAME} …"),
        ("bare endpoint", "No request in the last two days."),
        ("missing", "There is no endpoint x. See all endpoints or all audits ."),
        ("refused", "A valid bearer token is required. Ask who runs nibai; then open the page"),
        ("broken", "that is a mistake of nibai's, not yours. Its log says what it was."),
        ("problem", "/lake: cannot be read What is sent to nibai is kept meanwhile."),
    ],
)  # fmt: skip
def test_where_nothing_is_shown_it_is_said_what_to_do(page, text):
    assert text in outline(MADE[page]).text


def test_series_that_never_gave_anything_are_on_the_list_and_on_their_endpoint():
    for page in (MADE["unheard endpoints"], replace(MADE["endpoint"], unheard=(UNHEARD,))):
        shown = outline(page)
        assert "Never gave anything" in shown.text
        assert UNHEARD in shown.text
    assert "Never gave anything" not in outline(MADE["endpoint"]).text


def test_an_endpoint_without_an_audit_and_a_name_that_nobody_has():
    nothing = outline(AuditsPage((), (NAME,), NAME, 1, 1, ()))
    assert {"href": f"/endpoints/{NAME}"} in nothing.all("a")
    assert "No audit of" in nothing.text
    missed = outline(EndpointsPage((), "zz", 0, 500, 1, 1)).text
    assert "None of 500 endpoints has “zz” in its name. All endpoints" in missed


# -- who reads it otherwise --------------------------------------------------------------------


def test_headings_and_landmarks_tell_the_structure(made):
    headings = [tag for tag, _ in made.tags if tag in {"h1", "h2", "h3"}]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    assert "h3" not in headings
    assert len(made.all("main")) == len(made.all("header")) == 1
    assert all(attrs.get("aria-label") for attrs in made.all("nav"))
    assert made.all("html") == [{"lang": "en"}]
    for tag, attrs in made.tags:
        if tag == "section" and "aria-label" not in attrs:
            following = made.tags[made.tags.index((tag, attrs)) + 1][0]
            assert following == "h2"


def test_the_keyboard_comes_to_the_content_first_and_then_in_reading_order(made):
    links = made.all("a")
    assert links[0] == {"class": "skip", "href": "#content"}
    assert {"id": "content", "tabindex": "-1"} in made.all("main")
    orders = [attrs["tabindex"] for _, attrs in made.tags if "tabindex" in attrs]
    assert set(orders) <= {"0", "-1"}, "no order of its own"
    assert made.all("script") == []


def test_tables_and_fields_are_named(made):
    assert len(made.all("caption")) == len(made.all("table"))
    assert all(attrs.get("scope") for attrs in made.all("th"))
    cells = [attrs for attrs in made.all("td") if "data-label" not in attrs]
    assert cells == [], "on a phone a cell says what it is"
    fields = len(made.all("select", "input"))
    assert len(made.all("label")) == fields


def luminance(colour):
    """Relative luminance, WCAG 2.2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_has_the_contrast_that_wcag_asks_for(colours):
    texts = ["ink", "muted", "candidate", *(verdict.value for verdict in Verdict)]
    for text, behind in itertools.product(texts, ("surface", "page")):
        bright, dim = sorted((luminance(colours[text]), luminance(colours[behind])), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 4.5, (text, behind)
