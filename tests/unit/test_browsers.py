"""What pages of somebody else's can do through a browser: nothing; and what nothing answers."""

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from nibai.app.onwatch.pages import Pages
from nibai.config import Web
from nibai.protocols import PushResponse
from nibai.server import Access, Site, make_app

TOKEN = "kept-by-senders"  # noqa: S105 - made up
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OWN = ("localhost", "localhost:4318", "LOCALHOST:4318", "localhost.", "127.0.0.1:4318",
       "127.8.9.10", "[::1]:4318", "[::1]")  # fmt: skip
FOREIGN = ("evil.example", "evil.example:4318", "localhost.evil.example", "127.0.0.1.evil.example",
           "[::2]:4318", "192.0.2.1", "a@evil.example", "[", "", "evil\x7f")  # fmt: skip


class Taker:
    """A receiver that counts."""

    paths = ("/v1/metrics", "/v1/traces")

    def __init__(self):
        self.taken = 0

    def receive(self, request, sink):
        del request, sink
        self.taken += 1
        return PushResponse(200, "text/plain", b"", {})


@pytest.fixture
def taker():
    return Taker()


def asked(taker, **more):
    site = Site(
        lambda _accept: ("text/plain", b"metrics"), lambda path, _query: (200, path), Pages.refused
    )
    facts = {"status": "ok", "data": "/var/lib/nibai"}
    app = make_app(
        [taker], None, lambda: (True, facts), max_body=100, site=site, access=Access(**more)
    )
    return TestClient(app, base_url="http://127.0.0.1:4318", follow_redirects=False)


@pytest.mark.parametrize("path", Taker.paths)
def test_data_are_taken_under_a_name_of_this_machine_only(taker, path):
    client = asked(taker)
    for name in OWN:
        assert client.post(path, headers={"host": name}).status_code == 200, name
    assert taker.taken == len(OWN)
    for name in FOREIGN:
        answer = client.post(path, headers={"host": name})
        assert answer.status_code == 421, name
        assert answer.json()["message"].endswith("add the name to web.names in nibai.yaml")
    assert taker.taken == len(OWN), "a name that was made to point here can push"


@pytest.mark.parametrize("path", ["/", "/audits", "/metrics", "/endpoints/onprem/tokyo/ocr"])
def test_what_is_shown_is_shown_under_a_name_of_this_machine_only(taker, path):
    client = asked(taker)
    for name in OWN:
        assert client.get(path, headers={"host": name}).status_code in {200, 307}, name
    for name in FOREIGN:
        assert client.get(path, headers={"host": name}).status_code == 421, name
    words = client.get(path, headers={"host": "evil.example:4318"})
    assert words.headers["content-type"].startswith("text/plain")
    assert "www-authenticate" not in words.headers, "no password would help"
    assert words.text == (
        "without a token nibai answers to its own names (localhost), not to evil.example: ask for "
        "one of them, or add the name to web.names in nibai.yaml\n"
    )


def test_a_refused_name_is_shown_to_a_browser_as_a_page(taker):
    page = asked(taker).get("/audits", headers={"host": "<b>.example", **BROWSER})
    assert page.status_code == 421
    assert "<h1>Not this way</h1>" in page.text
    assert "not to &lt;b&gt;.example: ask for one of them" in page.text


def test_a_configured_name_is_a_name_of_this_machine(taker):
    client = asked(taker, names=Web(names=["Nibai.Example.com."]).names)
    for name in ("nibai.example.com", "NIBAI.example.com:443", "localhost"):
        assert client.post("/v1/traces", headers={"host": name}).status_code == 200
    words = client.post("/v1/traces", headers={"host": "example.com"}).json()["message"]
    assert "(localhost, nibai.example.com), not to example.com" in words
    for wrong in ("https://nibai.example.com", "nibai.example.com:443", "", "*"):
        with pytest.raises(ValidationError, match="without scheme and port, such as"):
            Web(names=[wrong])


def test_a_token_guards_by_itself_whatever_the_name(taker):
    client = asked(taker, token=TOKEN)
    foreign = {"host": "nibai.example"}
    assert client.post("/v1/traces", headers=foreign).status_code == 401
    told = {**foreign, "authorization": f"Bearer {TOKEN}"}
    assert client.post("/v1/traces", headers=told).status_code == 200
    assert client.get("/audits", headers=told).status_code == 200


def test_a_token_of_readers_alone_leaves_the_name_of_senders_checked(taker):
    client = asked(taker, read_token=TOKEN)
    assert client.post("/v1/traces", headers={"host": "evil.example"}).status_code == 421
    assert client.post("/v1/traces").status_code == 200


def test_probes_answer_any_name_with_the_status_and_tell_facts_to_their_own(taker):
    client = asked(taker)
    foreign = client.get("/healthz", headers={"host": "10.1.2.3:4318"})
    assert (foreign.status_code, foreign.json()) == (200, {"status": "ok"})
    assert "data" in client.get("/readyz").json()


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize(
    "said",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:8000"},
        {"origin": "null"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:4318"},
    ],
)
def test_what_a_page_of_another_origin_posts_is_not_taken(taker, said, token):
    """Also with the password that the browser remembers."""
    client = asked(taker, token=token)
    headers = {**said, "authorization": f"Bearer {TOKEN}", "content-type": ""}
    answer = client.post("/v1/traces", headers=headers)
    assert answer.status_code == 403
    fact = f"a browser sends this for {said.get('origin', 'another page')}: nibai takes nothing"
    assert answer.json()["message"] == f"{fact} from pages; send it from a program"
    assert taker.taken == 0


def test_programs_and_pages_of_the_same_origin_are_no_strangers(taker):
    client = asked(taker)
    own = {"origin": "http://127.0.0.1:4318", "sec-fetch-site": "same-origin"}
    for said in ({}, own, {"sec-fetch-site": "none"}):
        assert client.post("/v1/traces", headers=said).status_code == 200


def test_no_other_page_can_use_what_is_shown(taker):
    client = asked(taker)
    for path in ("/audits", "/metrics"):
        headers = client.get(path).headers
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert not [name for name in headers if name.startswith("access-control-")]
    preflight = client.options("/v1/traces", headers={"origin": "https://evil.example"})
    assert (preflight.status_code, preflight.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v1/traces", 405,
         "GET /v1/traces: data are sent here, by POST (OTLP); there is nothing to read"),
        ("PUT", "/audits", 405, "PUT /audits: pages and /metrics are read by GET"),
        ("OPTIONS", "/metrics", 405, "OPTIONS /metrics: pages and /metrics are read by GET"),
        ("POST", "/v1/logs", 404,
         "POST /v1/logs: nothing is here; data (OTLP) go to /v1/metrics and /v1/traces"),
        ("POST", "/healthz", 404,
         "POST /healthz: nothing is here; data (OTLP) go to /v1/metrics and /v1/traces"),
    ],
)  # fmt: skip
def test_what_nothing_answers_is_told_in_words_and_to_a_browser_as_a_page(
    taker, method, path, status, words
):
    client = asked(taker)
    plain = client.request(method, path)
    assert (plain.status_code, plain.text) == (status, f"{words}\n")
    assert plain.headers["content-type"].startswith("text/plain")
    if status == 405:
        assert plain.headers["allow"]
    page = client.request(method, path, headers=BROWSER)
    assert page.status_code == status
    assert f"{words}." in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_head_is_answered_like_get_without_a_body(taker):
    client = asked(taker)
    for path in ("/audits", "/metrics", "/healthz"):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (200, b""), path
