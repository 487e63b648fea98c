"""What the server shows: metrics in two forms, pages with inert text, and to whom."""

import base64
import math
import re
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient
from support.audits import mixed
from support.onwatch import CUT, TWICE, declared, fill, on_watch
from support.spans import batch

from nibai.app.onwatch.exporter import Exporter
from nibai.app.onwatch.jobs import configured_jobs
from nibai.app.onwatch.pages import PER_PAGE, Pages
from nibai.app.onwatch.standing import Board, Reading
from nibai.claims import parse
from nibai.document import to_document
from nibai.errors import StoreError
from nibai.exposition import NATIVE_TYPE, TEXT_TYPE
from nibai.model import Change, Moved
from nibai.protocols import PushResponse
from nibai.server import Access, Site, make_app
from nibai.store.state.detections import Alarmed, put_alarms
from nibai.store.wal.ingest import Ingest, MemoryLedger

PROMETHEUS = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)
HOSTILE = "onprem/<script>alert(1)</script>/\"'&{{70*70}}"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    fill(folder)
    return folder


@pytest.fixture
def shown(lake, tmp_path):
    watch = on_watch(tmp_path, lake, CUT + 8 * 3600)
    watch.ingest = Ingest(lake, "more", MemoryLedger(), clock=watch.clock)
    watch.exporter = Exporter(
        watch.config, watch.desk, board=watch.board, tally=watch.tally, stats=watch.ingest.stats
    )
    pages = Pages(watch.desk, watch.board, watch.exporter.seen)
    site = Site(watch.exporter.scrape, pages.page, pages.refused, pages.broken)
    watch.site = site
    watch.client = client(site)
    yield watch
    watch.ingest.close()
    watch.desk.state.close()


def client(site, **tokens):
    facts = (True, {"status": "ok"})
    access = Access(tokens.get("token"), tokens.get("read_token"))
    app = make_app([], None, lambda: facts, max_body=1000, site=site, access=access)
    return TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)


def followed(shown, *claims, **more):
    change = declared(shown.desk, *claims, **more)
    (follow,) = [job for job in configured_jobs(shown.office) if job.name == "follow"]
    shown.folded(shown.clock.now)
    shown.office.turns.take(follow)
    return change


def test_health_tells_facts_to_who_may_read_and_the_status_to_all(shown):
    facts = {"status": "failing", "problem": "/var/lib/nibai: the disk is full"}
    access = Access("secret", "reading")
    app = make_app([], None, lambda: (False, facts), max_body=1000, access=access)
    with TestClient(app, base_url="http://nibai.example") as asked:
        for token in (None, "other"):
            headers = {} if token is None else {"authorization": f"Bearer {token}"}
            answer = asked.get("/healthz", headers=headers)
            assert (answer.status_code, answer.json()) == (503, {"status": "failing"})
        for token in ("secret", "reading"):
            assert (
                asked.get("/readyz", headers={"authorization": f"Bearer {token}"}).json() == facts
            )
    local = client(shown.site).get("/healthz")
    assert local.json() == {"status": "ok"}


def test_the_first_scrape_of_either_form_finds_it_encoded(shown, monkeypatch):
    assert not shown.exporter.warm()
    shown.exporter.start()
    deadline = time.monotonic() + 20
    while not shown.exporter.warm():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    shown.exporter.stop()
    monkeypatch.setattr(shown.exporter, "renew", None)
    assert b"nibai_latency_quantile_seconds{" in shown.exporter.scrape("")[1]
    assert b"nibai_latency_quantile_seconds" in shown.exporter.scrape(PROMETHEUS)[1]


def test_what_goes_quiet_and_what_detectors_noticed_is_exported(shown):
    now = shown.clock.now
    shown.board.read("cloud", Reading(now - 4000.0, 3600.0))
    shown.board.read("main", Reading(now, 60.0, None, now - 7200.0, 7200.0, 5400.0))
    shown.board.read("broken", Reading(None, 60.0, "AccessDenied"))
    noticed = Alarmed(TWICE, "latency", Moved.WORSE, now - 3600, now - 60, "p50 slower", "few")
    with shown.desk.state.begin() as connection:
        put_alarms(connection, [noticed])
    text = shown.exporter.scrape("")[1].decode()
    for line in (
        'nibai_collector_lag_seconds{collector="cloud"} 4000.0',
        'nibai_collector_lag_limit_seconds{collector="cloud"} 8100.0',
        'nibai_collector_silence_seconds{collector="main"} 7200.0',
        'nibai_collector_silence_limit_seconds{collector="main"} 5400.0',
        # One that never read is as old as the process.
        'nibai_collector_lag_seconds{collector="broken"} 0.0',
        f'nibai_unannounced_changes{{endpoint="{TWICE}",moved="worse"}} 1.0',
    ):
        assert f"{line}\n" in text
    assert 'silence_seconds{collector="cloud"}' not in text
    declared(shown.desk, "2x faster", effective_at=now - 1800)
    shown.exporter.renew()
    assert "nibai_unannounced_changes{" not in shown.exporter.scrape("")[1].decode()


def test_a_lake_that_cannot_be_read_keeps_nobody_from_starting(shown, monkeypatch):
    def fails(_now):
        raise StoreError("the lake is away")

    monkeypatch.setattr(shown.exporter, "_totals", SimpleNamespace(refresh=fails))
    shown.exporter.start()
    deadline = time.monotonic() + 20
    while not shown.exporter.warm():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    shown.exporter.stop()


# -- metrics ---------------------------------------------------------------------------------


def test_metrics_come_in_the_form_that_was_asked_for(shown):
    text = shown.client.get("/metrics")
    assert text.headers["content-type"] == TEXT_TYPE
    assert "nibai_build_info{" in text.text
    assert 'nibai_latency_quantile_seconds{endpoint="onprem/tokyo/twice"' in text.text
    native = shown.client.get("/metrics", headers={"accept": PROMETHEUS})
    assert native.headers["content-type"] == NATIVE_TYPE
    assert b"nibai_build_info" in native.content


def test_a_watched_claim_has_its_verdict_before_and_after_it_is_decided(shown):
    shown.clock.now = CUT + 600
    change = followed(shown, "1.5x faster at p50")
    shown.exporter.renew()
    series = f'change="{change.id}",claim="1.5x-faster-at-p50",endpoint="{TWICE}",variant=""'
    assert f"nibai_claim_verdict{{{series}}} 0.0" in shown.client.get("/metrics").text
    shown.clock.now = CUT + 8 * 3600
    (follow,) = [job for job in configured_jobs(shown.office) if job.name == "follow"]
    shown.folded(shown.clock.now)
    shown.office.turns.take(follow)
    shown.exporter.renew()
    text = shown.client.get("/metrics").text
    assert f"nibai_claim_verdict{{{series}}} 1.0" in text
    assert f'nibai_change_observed_requests{{change="{change.id}"' in text
    assert 'nibai_audit_slots_total{state="done",task="follow"} 2.0' in text
    assert 'nibai_collector_lag_seconds{collector="main"} 0.0' in text


def test_what_another_process_decided_is_exported_by_one_that_looked_before(shown, lake, tmp_path):
    shown.clock.now = CUT + 600
    change = followed(shown, "1.5x faster at p50")
    other = on_watch(tmp_path, lake, CUT + 8 * 3600, "other")
    (follow,) = [job for job in configured_jobs(other.office) if job.name == "follow"]
    other.folded(other.clock.now)
    other.office.turns.take(follow)
    other.desk.state.close()
    shown.exporter.renew()
    series = f'change="{change.id}",claim="1.5x-faster-at-p50",endpoint="{TWICE}",variant=""'
    assert f"nibai_claim_verdict{{{series}}} 1.0" in shown.client.get("/metrics").text


def test_the_level_of_a_refutation_is_that_of_its_newest_evidence_and_of_its_family(shown):
    def level(exporter=shown.exporter):
        text = exporter.scrape("")[1].decode()
        return float(re.search(r"nibai_claim_refuted_level_ratio\{.*\} (\S+)", text)[1])

    change = followed(shown, "3x faster at p50")
    seen = shown.board.round(shown.clock.now)
    (one,) = seen.standings
    newer = replace(one.findings[0], evidence=replace(one.findings[0].evidence, log_e_value=5.5))
    shared = replace(one, sentence=replace(one.sentence, family=10), level=0.995, findings=(newer,))
    shown.board.looked(seen.at + 1, (shared,))
    shown.exporter.renew()
    # What is stored stays as it was decided.
    assert level() == pytest.approx(1 - 10 * math.exp(-5.5))
    # A process that has not looked yet knows the verdict from the audit, the family from rules.
    rules = replace(change, sentences=(replace(one.sentence, family=10),))
    fresh = Exporter(
        shown.config, shown.desk, board=Board(900.0, 0.0), tally=shown.tally,
        stats=shown.ingest.stats, claimed=lambda _change: rules,
    )  # fmt: skip
    assert level(fresh) == pytest.approx(0.95)


def test_a_fixed_window_report_sets_no_verdict(shown):
    change = declared(shown.desk, "2x faster")
    document = {**to_document(mixed()), "id": "report-0000"}
    document["change"] = {**document["change"], "id": change.id}
    shown.desk.state.put_audit(document, CUT)
    text = shown.client.get("/metrics").text
    assert f'nibai_change_level_ratio{{change="{change.id}"' in text
    assert f'nibai_claim_verdict{{change="{change.id}"' not in text


def test_only_the_newest_changes_are_exported(shown):
    for number in range(23):
        shown.clock.now += 1
        shown.desk.declare(
            Change("", f"e/s/n{number}", sentences=(parse("2x faster"),), effective_at=CUT)
        )
    text = shown.client.get("/metrics").text
    assert text.count("nibai_change_info{") == 20
    assert 'endpoint="e/s/n22"' in text
    assert 'endpoint="e/s/n2"' not in text


def test_text_from_outside_stays_inside_its_label(shown):
    shown.ingest.append(
        batch([0.1] * 20, endpoint='e/s/"} 1\nevil 2', minute=int(shown.clock.now // 60))
    )
    shown.ingest.flush()
    text = shown.client.get("/metrics").text
    assert "\nevil" not in text
    assert '\\"} 1\\nevil 2' in text


# -- pages -----------------------------------------------------------------------------------


def test_audits_are_listed_and_shown(shown):
    change = followed(shown, "1.5x faster at p50")
    home = shown.client.get("/")
    assert (home.status_code, home.headers["location"]) == (307, "/audits")
    page = shown.client.get("/audits")
    assert page.status_code == 200
    name = shown.desk.state.audits()[0][0]
    assert f'<a href="/audits/{name}">{name}</a>' in page.text
    assert "confirmed" in page.text
    assert "as claimed; decided by the block" in page.text
    report = shown.client.get(f"/audits/{name}")
    assert report.status_code == 200
    assert 'id="nibai-audit"' in report.text
    assert change.id in report.text
    endpoint = shown.client.get(f"/endpoints/{TWICE}")
    assert endpoint.status_code == 200
    assert "1.5x faster at p50" in endpoint.text
    assert "latency" in endpoint.text
    other = shown.client.get("/audits?endpoint=onprem/tokyo/same")
    assert name not in other.text


def test_endpoints_are_listed_whatever_needs_a_look_first(shown):
    followed(shown, "3x faster at p50")
    declared(shown.desk, "2x faster at p50", endpoint="onprem/tokyo/never-seen")
    page = shown.client.get("/endpoints")
    assert page.status_code == 200
    order = re.findall(r'href="/endpoints/([^"]+)"', page.text)
    assert order[0] == TWICE, "its claim is refuted"
    assert {"onprem/tokyo/never-seen", "onprem/tokyo/same"} <= set(order)
    assert "none for two days" in page.text
    found = shown.client.get("/endpoints", params={"find": "NEVER"})
    assert re.findall(r'href="/endpoints/([^"]+)"', found.text) == ["onprem/tokyo/never-seen"]
    assert re.search(r"1 of [0-9]+ endpoints, what needs a look first", found.text)
    assert shown.client.get("/endpoints/onprem/tokyo/never-seen").status_code == 200


def test_five_hundred_endpoints_have_pages(shown, monkeypatch):
    names = {f"onprem/tokyo/e{i:03d}": 60.0 * i for i in range(500)}
    monkeypatch.setattr(Pages, "_newest", lambda _self: names)
    first, last = (shown.client.get(f"/endpoints?page={n}").text for n in (1, 5))
    assert "500 endpoints, what needs a look first; page 1 of 5" in first
    assert first.count('<th scope="row"') == 100
    assert 'rel="next"' not in last
    assert "e499" in last


def test_a_state_that_is_away_is_said_on_the_page(shown, monkeypatch):
    def away():
        raise StoreError("state.sqlite: <locked>: free it")

    monkeypatch.setattr(shown.desk.state, "audits", away)
    page = shown.client.get("/audits")
    assert page.status_code == 503
    assert "state.sqlite: &lt;locked&gt;: free it" in page.text
    monkeypatch.setattr(shown.exporter, "_snapshot", replace(shown.exporter._snapshot, number=-1))
    metrics = shown.client.get("/metrics")
    assert (metrics.status_code, metrics.text) == (503, "state.sqlite: <locked>: free it\n")


def test_a_report_leads_back_to_the_lists(shown):
    followed(shown, "1.5x faster at p50")
    name = shown.desk.state.audits()[0][0]
    report = shown.client.get(f"/audits/{name}").text
    assert '<nav class="home" aria-label="nibai">' in report
    assert '<a href="/endpoints">Endpoints</a> <a href="/audits">Audits</a>' in report


def test_long_lists_have_pages(shown):
    change = declared(shown.desk, "2x faster")
    document = to_document(mixed())
    document["change"] = {**document["change"], "id": change.id}
    for number in range(PER_PAGE + 3):
        shown.desk.state.put_audit({**document, "id": f"aud-{number:04d}"}, CUT + number)
    first, second = (shown.client.get(f"/audits?page={n}").text for n in (1, 2))
    assert "page 1 of 2" in first
    assert 'rel="next"' in first
    assert "aud-0002" in second
    for wrong in ("0", "99", "-1", "x", "1; drop"):
        assert shown.client.get("/audits", params={"page": wrong}).status_code == 200


def test_hostile_names_are_inert(shown):
    document = to_document(mixed())
    change = shown.desk.declare(
        Change("", HOSTILE, sentences=(parse("2x faster"),), effective_at=CUT)
    )
    document["change"] = {**document["change"], "id": change.id, "endpoint": HOSTILE}
    document["reason"] = "<img src=x onerror=alert(1)> {{70*70}}"
    shown.desk.state.put_audit({**document, "id": "aud-1"}, CUT)
    for path in ("/audits", f"/endpoints/{HOSTILE}", f"/audits?endpoint={HOSTILE}"):
        page = shown.client.get(path)
        assert page.status_code == 200
        assert "<script" not in page.text
        assert "<img" not in page.text
        assert "4900" not in page.text.split("</style>")[1]
        assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    ["/audits/../../etc/passwd", "/audits/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/audits/aud-404",
     "/audits/a/b", "/audits/%00", "/endpoints/../../etc/passwd", "/nothing"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(shown, path):
    page = shown.client.get(path)
    assert page.status_code == 404
    assert "root:" not in page.text


def test_a_name_that_ends_in_a_slash_has_its_page(shown):
    declared(shown.desk, "2x faster at p50", endpoint="onprem/tokyo/ocr/")
    assert shown.site.page("/endpoints/onprem/tokyo/ocr/", {})[0] == 200
    assert shown.site.page("/endpoints/", {})[0] == shown.site.page("/audits/", {})[0] == 200


def test_a_name_that_looks_quoted_is_found_under_its_own_name(shown):
    name = "onprem/tokyo/50%2Foff?"
    declared(shown.desk, "2x faster at p50", endpoint=name)
    # Not by TestClient, which takes quotes off twice.
    status, page = shown.site.page(f"/endpoints/{name}", {})
    assert (status, f"<h1>{name}</h1>" in page) == (200, True)


# -- to whom ---------------------------------------------------------------------------------


def test_off_loopback_everything_needs_a_token_and_the_read_token_only_reads(shown):
    tokens = {"token": "write", "read_token": "read"}
    asked = client(shown.site, **tokens)
    for path in ("/", "/audits", "/metrics", "/endpoints/x"):
        refused = asked.get(path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Basic ")
    bearer = {"authorization": "Bearer read"}
    assert asked.get("/metrics", headers=bearer).status_code == 200
    basic = base64.b64encode(b"anyone:read").decode()
    assert asked.get("/audits", headers={"authorization": f"Basic {basic}"}).status_code == 200
    assert asked.get("/audits", headers={"authorization": "Bearer write"}).status_code == 200
    for wrong in ("Bearer no", "Basic !!!", "Basic " + base64.b64encode(b"\xff").decode(), "read"):
        assert asked.get("/audits", headers={"authorization": wrong}).status_code == 401
    for path in ("/healthz", "/readyz"):
        assert asked.get(path).status_code == 200


def test_a_browser_that_is_refused_is_shown_a_page_and_a_program_words(shown):
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    asked = client(shown.site, token="write", read_token="read")  # noqa: S106 - made up
    for path in ("/", "/audits", "/endpoints/onprem/tokyo/twice"):
        refused = asked.get(path, headers=browser)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Basic ")
        assert refused.headers["content-type"] == "text/html; charset=utf-8"
        assert refused.headers["content-security-policy"].startswith("default-src 'none'")
        said = "A valid bearer token is required; in a browser any user name, and the token as"
        assert f"{said} password." in refused.text
        assert "twice" not in refused.text, "what there is is not told"
    words = f"{said[0].lower()}{said[1:]} password\n"
    assert asked.get("/audits").text == words
    assert asked.get("/metrics", headers=browser).text == words
    foreign = shown.client.get("/audits", headers={"host": "evil.example", **browser})
    assert "Without a token nibai answers to its own names (localhost), not to evil.example" in (
        foreign.text
    )


def test_a_page_that_cannot_be_made_says_so_and_no_more(shown, caplog):
    def broken(_path, _query):
        raise ZeroDivisionError("secret detail in /var/lib/nibai")

    asked = client(replace(shown.site, page=broken))
    browser = asked.get("/audits", headers={"accept": "text/html"})
    assert (browser.status_code, "<h1>Something went wrong</h1>" in browser.text) == (500, True)
    assert browser.headers["cache-control"] == "no-store"
    program = asked.get("/audits")
    assert (program.status_code, program.text) == (
        500, "the page could not be made: see nibai's log\n",
    )  # fmt: skip
    for answer in (browser, program):
        assert "secret detail" not in answer.text
        assert "Traceback" not in answer.text
    assert "secret detail" in caplog.text
    worse = client(replace(shown.site, page=broken, broken=lambda: 1 / 0))
    assert worse.get("/audits", headers={"accept": "text/html"}).text == program.text


def test_a_problem_that_is_shown_holds_no_password(shown, monkeypatch):
    def away(*_):
        raise StoreError("postgresql://nibai:hunter2@db/nibai: the state cannot be read")

    monkeypatch.setattr(type(shown.desk.state), "audits", away)
    page = shown.client.get("/audits")
    assert page.status_code == 503
    assert "postgresql://nibai:[secret]@db/nibai: the state cannot be read" in page.text
    shown.board.read("cloud", Reading(None, 60.0, "https://u:hunter2@host is refused"))
    assert shown.board.readings()["cloud"].problem == "https://u:[secret]@host is refused"


class Echo:
    """A receiver that says what it was given."""

    paths = ("/v1/traces",)

    def receive(self, request, sink):
        del sink
        told = f"{request.path} {request.headers['x-twice']} {len(request.body)}"
        return PushResponse(200, "text/plain", told.encode(), {"retry-after": "3"})


def test_what_is_posted_reaches_its_receiver_and_nothing_else_does():
    app = make_app([Echo()], None, lambda: (True, {"status": "ok"}), max_body=10)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        twice = [("x-twice", "first"), ("x-twice", "second")]
        answer = client.post("/v1/traces?a=b", content=b"12345", headers=twice)
        assert (answer.status_code, answer.text) == (200, "/v1/traces first 5")
        assert answer.headers["retry-after"] == "3"
        answer = client.post("/v1/traces", content=b"x" * 11)
        assert (answer.status_code, answer.json()) == (
            413, {"message": "the body is larger than 10 bytes"},
        )  # fmt: skip
        assert client.get("/v1/traces").status_code == 405
        assert client.post("/v1/logs").status_code == 404
        assert client.post("/healthz").status_code == 404


def test_from_which_age_on_minutes_count_is_exported_where_they_are_read_again(shown):
    followed(shown, "2x faster at p50")
    now = shown.clock.now
    standings = shown.board.round(now).standings
    name = "nibai_minutes_count_from_seconds"
    assert f"{name}{{" not in shown.exporter.scrape("")[1].decode(), "they are pushed"
    pulled = [replace(one, minutes_age_seconds=600.0, minutes_from="cw") for one in standings]
    shown.board.looked(now, tuple(pulled))
    line = re.search(rf"{name}\{{.*\}} \S+", shown.exporter.scrape("")[1].decode())[0]
    assert 'collector="cw"' in line
    assert line.endswith(" 600.0")
    endpoint = standings[0].change.endpoint
    page = shown.client.get(f"/endpoints/{endpoint}").text
    assert "minutes count from an age of 10 minutes" in page
