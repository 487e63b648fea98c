"""Requests from traces: spans by Logs Insights, X-Ray with its weights; nothing read twice."""

import json
import re
from datetime import UTC, datetime

import numpy as np
import pytest
import yaml
from fakeaws.metrics import ServiceError
from fakeaws.server import FakeAws
from fakeaws.traces import Logs, XRay

from collector.spans.xray import Sampling
from nibai import cli
from nibai.model import RecordedAs, Window
from nibai.stats.recorded import RecordedShare, recording_error
from nibai.stats.score import pooled_table
from nibai.store.lake.delta import Lake
from nibai.store.series.blocks import Blocks, Engine

NOW = datetime(2026, 3, 1, 16, 20, 30, tzinfo=UTC).timestamp()
FIRST, LAST = NOW // 60 * 60 - 3600, NOW // 60 * 60 - 600
ENDPOINT = "bedrock/123456789012.us-east-1/chat"
MODEL, TOKENS = "attributes.gen_ai.request.model", "attributes.gen_ai.usage.input_tokens"


@pytest.fixture
def account(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    monkeypatch.setattr("time.sleep", lambda _: None)
    found = Account(tmp_path, capsys)
    monkeypatch.setattr("time.time", lambda: found.now)
    return found


class Account:
    """One endpoint whose callers trace it."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys, self.now = folder, capsys, NOW
        self.logs, self.xray = Logs(), XRay()

    def nibai(self, *arguments, **settings):
        with FakeAws(logs=self.logs, xray=self.xray) as fake:
            section = {
                "account": "123456789012", "region": "us-east-1", "endpoint": ENDPOINT,
                "source": "spans", "variant_field": MODEL, "segments": {"in": TOKENS},
                "bands": {"in": [128, 1024]}, "endpoint_url": fake.url, **settings,
            }  # fmt: skip
            path = self.folder / "nibai.yaml"
            document = {"data": str(self.folder / "data"), "spans": [section]}
            path.write_text(yaml.safe_dump(document), encoding="utf-8")
            code = cli.invoke([*arguments, "--config", str(path)])
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def collect(self, **settings):
        return self.nibai("collect", "--once", **settings)

    def recorded(self):
        engine = Engine(Lake(self.folder / "data" / "lake"))
        return engine.recorded(ENDPOINT, "latency", "nova", Window(FIRST - 600, NOW))

    def found(self, variant="nova"):
        engine = Engine(Lake(self.folder / "data" / "lake"))
        return engine.pooled(ENDPOINT, "latency", variant, Blocks(Window(FIRST - 600, NOW), 1))


def span(at, seconds, *, tokens=100, status="UNSET", **more):
    return {"at": at, "durationNano": int(seconds * 1e9), "status.code": status, MODEL: "nova",
            TOKENS: tokens, **more}  # fmt: skip


def spans(n, rng):
    return [span(at, s) for at, s in zip(rng.uniform(FIRST, LAST, n), rng.lognormal(0, 0.4, n),
                                         strict=True)]  # fmt: skip


def test_spans_become_exact_minutes_by_model_and_token_band(account):
    rng = np.random.default_rng(1)
    made = spans(400, rng)
    made += [span(at, 1.0, tokens=5000, status="ERROR") for at in rng.uniform(FIRST, LAST, 20)]
    made += [span(NOW - 30, 9.0), {"at": FIRST + 5, MODEL: "nova"}]
    account.logs = Logs(made, page=50)
    code, out, err = account.collect()
    assert code == 0, err
    assert "1 spans without time or duration" in out
    found = account.found()
    assert set(found) == {"in=<=128", "in=>1024"}
    assert (found["in=<=128"].n.sum(), found["in=>1024"].overflow.sum()) == (400, 20)
    raw = [one["durationNano"] / 1e9 for one in made[:400]]
    assert found["in=<=128"].quantile([0.5])[0] == pytest.approx(np.quantile(raw, 0.5), rel=0.02)
    query = account.logs.queries[0]
    assert query["logGroupName"] == "aws/spans"
    assert f"{MODEL} as f2, {TOKENS} as f3" in query["queryString"]
    assert all(one["endTime"] - one["startTime"] <= 600 for one in account.logs.queries)
    asked = len(account.logs.queries)
    code, out, _ = account.collect()
    assert code == 0
    assert len(account.logs.queries) == asked, "every minute is asked for once"
    account.now += 120
    account.collect()
    [further] = account.logs.queries[asked:]
    assert (further["startTime"], further["endTime"]) == (LAST, LAST + 120)


def test_the_filter_is_handed_on_and_a_query_that_fails_is_told(account):
    account.logs = Logs(status="Failed")
    code, _, err = account.collect(filter="attributes.tenant = 'acme'")
    assert code == 5
    assert "aws/spans: the query ended as Failed: try its text in the console" in err
    assert "| filter attributes.tenant = 'acme' | sort" in err


def test_a_query_that_never_ends_is_asked_again_later(account, monkeypatch):
    account.logs = Logs(spans(10, np.random.default_rng(1)), polls=10**6)
    monkeypatch.setattr("time.sleep", lambda s: setattr(account, "now", account.now + s))
    code, _, err = account.collect()
    assert code == 5
    assert "the query is still running after 120 s" in err
    account.logs.polls, account.now = 0, NOW
    assert account.collect()[0] == 0
    assert account.found()["in=<=128"].n.sum() == 10


def test_windows_with_too_many_rows_are_halved_and_of_a_minute_too_full_only_the_number_is_kept(
    account, monkeypatch
):
    monkeypatch.setattr("collector.insights.MAX_ROWS", 100)
    rng = np.random.default_rng(2)
    made = spans(500, rng) + [span(FIRST + 60 + at, 1.0) for at in rng.uniform(0, 60, 150)]
    account.logs = Logs(made, polls=0, scanned=1e6)
    code, out, err = account.collect()
    assert code == 5
    full = sum(FIRST + 60 <= one["at"] < FIRST + 120 for one in made)
    assert "spans in one minute, of which Logs Insights gives" in err
    assert "intervals widen by them: narrow the filter" in err
    told = int(re.search(r"; (\d+) requests whose times are not recorded", out)[1])
    assert full <= told <= full * 61 / 60 + 3, "the query's last second lies behind the minute"
    scanned = sum(len(account.logs._rows(query)) for query in account.logs.queries)
    assert f"metered ${scanned * 1e6 / 1e9 * 0.005:.4f}" in out
    assert account.found()["in=<=128"].n.sum() == 650 - full
    assert account.recorded()["in=<=128"] == RecordedShare(RecordedAs(unbinned=told), 650 - full)
    widened = recording_error(
        (pooled_table(account.found()["in=<=128"]),) * 2, 0.5,
        (RecordedAs(unbinned=told), RecordedAs()), (650 - full,) * 2,
    )  # fmt: skip
    assert min(widened.below, widened.above) > 0.05, "an audit's interval holds what is not known"


def test_a_missing_permission_names_it_and_what_came_before_stays(account):
    account.logs = Logs(spans(60, np.random.default_rng(3)))
    account.logs.errors = [ServiceError(400, "AccessDeniedException", "not authorized")]
    code, _, err = account.collect()
    assert code == 5
    assert "allow logs:StartQuery" in err
    assert account.collect()[0] == 0
    assert account.found()["in=<=128"].n.sum() == 60


def test_expired_credentials_are_told(account):
    account.logs.errors = [ServiceError(400, "ExpiredTokenException", "expired")]
    code, _, err = account.collect()
    assert code == 5
    assert "the credentials have expired" in err


# -- X-Ray --------------------------------------------------------------------------------------


def trace(at, seconds, **more):
    return {
        "Id": f"1-{at}", "StartTime": datetime.fromtimestamp(at, UTC), "ResponseTime": seconds,
        "Annotations": {"model": [{"AnnotationValue": {"StringValue": "nova"}}],
                        "tenant": [{"AnnotationValue": {"StringValue": "acme"}}]}, **more,
    }  # fmt: skip


TRACES = {"source": "auto", "variant_field": "model", "segments": {"tenant": "tenant"}, "bands": {}}


def test_traces_are_weighted_for_what_was_not_traced(account):
    """Busy seconds are slow: of 41 requests in them 3 are traced, of 1 in a quiet one all."""
    rng, truth, traced = np.random.default_rng(4), [], []
    for second in range(int(FIRST), int(LAST) - 1502):
        n = 41 if second % 20 == 0 else 1
        values = rng.lognormal(0.7 if n > 1 else 0.0, 0.3, n)
        truth += values.tolist()
        kept = values[: 3 if n > 1 else 1]
        traced += [trace(second + 0.1 * i, v) for i, v in enumerate(kept)]
    account.xray = XRay(traced)
    code, out, err = account.collect(**TRACES)
    assert code == 0, err
    assert f"{len(traced):,} traces read" in out
    found = account.found()["tenant=acme"]
    assert found.n.sum() == pytest.approx(len(truth), rel=0.02)
    p50 = found.quantile([0.5])[0]
    plain = np.median([one["ResponseTime"] for one in traced])
    assert p50 == pytest.approx(np.median(truth), rel=0.06)
    assert plain < 0.8 * np.median(truth), "traces alone would say that it is faster"


def test_a_second_is_counted_up_from_its_traces():
    rule = Sampling(reservoir=2.0, rate=0.1)
    assert [rule.requests(n) for n in (0, 1, 2)] == [0.0, 1.0, 2.0]
    assert rule.requests(5) == pytest.approx(32.0)


def test_faults_and_throttles_fail_and_what_is_not_over_is_counted(account):
    account.xray = XRay([
        trace(FIRST + 1, 1.0), trace(FIRST + 3, 1.0, HasFault=True),
        trace(FIRST + 5, 1.0, HasThrottle=True), trace(FIRST + 7, 1.0, HasError=True),
        trace(FIRST + 9, 1.0, IsPartial=True),
    ])  # fmt: skip
    code, out, err = account.collect(**TRACES)
    assert code == 0, err
    assert "1 traces that are not over" in out
    found = account.found()["tenant=acme"]
    assert (found.n.sum(), found.overflow.sum()) == (4, 2)


@pytest.mark.parametrize("denied", [False, True])
def test_spans_are_preferred_where_they_are_kept_or_nobody_may_look(account, denied):
    account.logs = Logs(spans(5, np.random.default_rng(6)))
    account.xray = XRay(destination="CloudWatchLogs")
    if denied:
        account.xray.error = ServiceError(403, "AccessDeniedException", "no")
    code, _, err = account.collect(source="auto")
    assert code == 0, err
    assert account.found()["in=<=128"].n.sum() == 5
    assert account.xray.requests == 0


def test_the_finding_says_that_traces_are_a_sample(account):
    rng, traced = np.random.default_rng(8), []
    for second in range(int(FIRST), int(LAST), 3):
        for model, speed in (("nova", 1.0), ("swift", 2.0)):
            one = trace(second + rng.random(), rng.lognormal(0, 0.3) / speed)
            one["Annotations"] = {"model": [{"AnnotationValue": {"StringValue": model}}]}
            traced.append(one)
    account.xray = XRay(traced, page=5000)
    rule = {"reservoir": 2, "rate": 0.05}
    assert account.collect(**TRACES, sampling=rule)[0] == 0
    _, out, err = account.nibai(
        "changes", "declare", "--endpoint", ENDPOINT, "--kind", "weights",
        "--baseline-variant", "nova", "--candidate-variant", "swift",
        "--claim", "1.5x faster at p50",
    )  # fmt: skip
    assert out, err
    _, out, _ = account.nibai("audit", out.strip(), "--format", "json")
    [claim] = json.loads(out)["claims"]
    assert claim["estimate"]["value"] == pytest.approx(2.0, rel=0.05)
    assert any("estimated from traces of some requests" in n for n in claim["evidence"]["notes"])


# -- traces whose spans lie in CloudWatch Logs -----------------------------------------------------


def with_spans(i, at, seconds, **more):
    """A caller's trace: the call of the model lies within what the summary tells."""
    nano = int(at * 1e9)
    call = {
        "traceId": f"1-{i}",
        "spanId": "b",
        "parentSpanId": "a",
        "status": {"code": "UNSET"},
        "startTimeUnixNano": nano,
        "durationNano": int(seconds * 1e9),
        "attributes": {"gen_ai.request.model": "nova", "gen_ai.usage.input_tokens": 100},
    }
    whole = {"traceId": f"1-{i}", "spanId": "a", "startTimeUnixNano": nano, "attributes": {},
             "durationNano": int((seconds + 5) * 1e9)}  # fmt: skip
    return {"Id": f"1-{i}", "StartTime": datetime.fromtimestamp(at, UTC), "Duration": seconds + 5,
            "spans": [whole, call | more]}  # fmt: skip


def test_where_transaction_search_keeps_spans_indexed_traces_are_retrieved(account):
    rng = np.random.default_rng(9)
    values = rng.lognormal(0, 0.4, 250)
    at = rng.uniform(FIRST, LAST, 250)
    made = [with_spans(i, *one) for i, one in enumerate(zip(at, values, strict=True))]
    made.append(with_spans("bad", FIRST + 5, 1.0, durationNano=None))
    made.append(with_spans("failed", FIRST + 6, 1.0, status={"code": "ERROR"}))
    account.xray = XRay(made, destination="CloudWatchLogs", page=30)
    account.xray.indexed = 2.0
    code, out, err = account.collect(source="xray", window="30m")
    assert code == 0, err
    assert "1 traces that are not over" in out
    assert "251 traces read" in out
    assert "12,550 requests that they stand for" in out
    found = account.found()["in=<=128"]
    assert (found.n.sum(), found.overflow.sum()) == (251 * 50, 50)
    assert found.quantile([0.5])[0] == pytest.approx(np.median([*values, 9]), rel=0.03)
    assert max(len(ids) for ids, _ in account.xray.retrievals) == 100
    assert account.collect(source="xray")[0] == 0
    assert account.found()["in=<=128"].n.sum() == 251 * 50, "every minute is asked for once"


def test_a_request_belongs_to_the_window_in_which_its_span_begins(account):
    """Spans begin up to four minutes after their traces, and before: windows of ten minutes."""
    rng = np.random.default_rng(10)
    at = rng.uniform(FIRST + 300, LAST - 300, 120)
    made = [with_spans(i, one, 1.0) for i, one in enumerate(at)]
    for one, later in zip(made, rng.uniform(-240, 240, 120), strict=True):
        one["spans"][1]["startTimeUnixNano"] += int(later * 1e9)
    made.append(with_spans("bad", FIRST + 599, 1.0, durationNano=None))
    account.xray = XRay(made, destination="CloudWatchLogs")
    code, out, err = account.collect(source="xray", window="10m")
    assert code == 0, err
    assert "1 traces that are not over" in out, "told once, in the window in which it began"
    assert "120 traces read" in out
    assert account.found()["in=<=128"].n.sum() == 120 * 100


def test_a_share_that_nobody_may_look_up_is_the_told_one(account):
    made = [with_spans(i, FIRST + i, 1.0) for i in range(10)]
    account.xray = XRay(made, destination="CloudWatchLogs")
    account.xray.indexed = None
    rule = {"reservoir": 0, "rate": 0.1}
    code, out, err = account.collect(source="xray", sampling=rule)
    assert code == 0, err
    assert "100 requests that they stand for" in out


@pytest.mark.parametrize(
    ("status", "polls", "said"),
    [("FAILED", 0, "is failed after 0 s"), ("RUNNING", 10**9, "is running after 12")],
)
def test_a_retrieval_that_does_not_end_well_is_asked_again(
    account, monkeypatch, status, polls, said
):
    account.xray = XRay([with_spans(1, FIRST + 1, 1.0)], destination="CloudWatchLogs")
    account.xray.retrieval_status, account.xray.polls = status, polls
    monkeypatch.setattr("time.sleep", lambda s: setattr(account, "now", account.now + s))
    code, _, err = account.collect(source="xray")
    assert code == 5
    assert f"X-Ray: the retrieval of traces {said}" in err
    account.xray.retrieval_status, account.xray.polls, account.now = "COMPLETE", 0, NOW
    assert account.collect(source="xray")[0] == 0
    assert account.found()["in=<=128"].n.sum() == 100
