"""Dashboards against a Prometheus: what is answered, and what is missing for the rest."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from nibai import cli

HELD = {"nibai_requests_total", "nibai_change_info", "nibai_change_effective_timestamp_seconds"}


@contextmanager
def prometheus(answer):
    """Answers (status, body) of path and parameters."""

    class Api(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            status, body = answer(parts.path, parse_qs(parts.query))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode() if not isinstance(body, bytes) else body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    ).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def holding(path, given):
    """A Prometheus with some metrics, which knows one endpoint and one change."""
    if path.startswith("/api/v1/label/"):
        return 200, {"status": "success", "data": ["b", "c"]}
    (query,) = given["query"]
    has = "lost" not in query and (not query.count("nibai_") or any(name in query for name in HELD))
    value = [{"metric": {}, "value": [0, "NaN" if "error" in query else "1"]}] if has else []
    return 200, {"status": "success", "data": {"result": value}}


def board(tmp_path, *expressions):
    targets = [{"refId": "A", "expr": one} for one in expressions]
    document = {
        "title": "mine",
        "panels": [{"id": 1, "type": "stat", "title": "x", "targets": targets}],
        "templating": {"list": [
            {"name": "endpoint", "type": "query",
             "query": "label_values(nibai_change_info, endpoint)"},
            {"name": "segment", "type": "query", "allValue": "^$",
             "query": "label_values(nibai_requests_total, endpoint)"},
            {"name": "metric", "type": "custom", "query": "latency,ttft"},
        ]},
    }  # fmt: skip
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(document))
    return str(path)


def test_each_dashboard_says_how_much_is_answered_and_what_is_missing(tmp_path, capsys):
    asked = []

    def noted(path, given):
        asked.append((path, given))
        return holding(path, given)

    file = board(
        tmp_path,
        'rate(nibai_requests_total{endpoint="$endpoint"}[$__rate_interval])',
        'nibai_cost_usd_per_request{endpoint="$endpoint"}',
        "rate(nibai_${metric}_seconds[1m]) or rate(nibai_${metric}_seconds_bucket[1m])",
        'nibai_requests_total{outcome="error"}',
        'nibai_requests_total{outcome="lost"}',
    )
    with prometheus(noted) as url:
        code = cli.invoke(["dashboards", "check", file, "--prometheus", url])
    assert code == 0
    assert capsys.readouterr().out == (
        "mine: 4 of 7 queries answered; 1 of them “No traffic”; nothing yet of "
        "nibai_cost_usd_per_request (1), nibai_latency_seconds (1), "
        "nibai_requests_total with these labels (1)\n"
    )
    queries = [given["query"][0] for path, given in asked if path == "/api/v1/query"]
    assert 'rate(nibai_requests_total{endpoint="b"}[1m])' in queries


def test_a_variable_can_be_chosen(tmp_path, capsys):
    asked = []

    def noted(path, given):
        asked.extend(given.get("query", []))
        return holding(path, given)

    file = board(tmp_path, 'nibai_requests_total{endpoint="$endpoint"}')
    with prometheus(noted) as url:
        cli.invoke(["dashboards", "check", file, "--prometheus", url, "--set", "endpoint=a/b=c"])
    assert 'nibai_requests_total{endpoint="a/b=c"}' in asked
    assert capsys.readouterr().out == "mine: 3 of 3 queries answered\n"


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (
            lambda *_: (400, {"status": "error", "error": "parse error"}), 2,
            "Prometheus refuses nibai_requests_total: parse error",
        ),
        (lambda *_: (200, b"<html>"), 5, "cannot be asked (JSONDecodeError): check the address"),
        (lambda *_: (200, []), 5, "in another shape than Prometheus: check the address"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_said(answer, code, said, tmp_path, capsys):
    file = board(tmp_path, "nibai_requests_total")
    with prometheus(answer) as url:
        chosen = ["--set", "endpoint=x"]
        assert cli.invoke(["dashboards", "check", file, "--prometheus", url, *chosen]) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("localhost:9090", 2, "--prometheus 'localhost:9090' is no http:// or https:// address"),
        ("http://127.0.0.1:9", 5, "Prometheus at http://127.0.0.1:9 cannot be asked"),
    ],
)
def test_an_address_that_leads_nowhere_is_said(url, code, said, capsys):
    assert cli.invoke(["dashboards", "check", "--prometheus", url]) == code
    assert said in capsys.readouterr().err
