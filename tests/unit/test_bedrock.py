"""Bedrock: latency with its failures from CloudWatch, answers and changes from invocation logs."""

import gzip
import json
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import yaml
from fakeaws.metrics import Metrics, ServiceError
from fakeaws.s3 import S3
from fakeaws.server import FakeAws
from fakeaws.traces import Logs

from collector.aws.session import AwsClient
from collector.bedrock.logs import BODIES_AT_ONCE, GroupLogs
from collector.bedrock.records import Asked, Reading, read_record, usual_text
from collector.bedrock.series import Model, model_series
from collector.bedrock.settings import ENOUGH, Settings
from collector.bedrock.source import BedrockSource, LogReading
from collector.cloudwatch.cadence import Cadence
from collector.cloudwatch.client import CloudWatchClient
from collector.cloudwatch.reading import CloudWatchSource
from collector.replay.rows import RejectedError, made
from nibai import cli
from nibai.errors import CollectError
from nibai.model import Observation, SeriesKey, Window
from nibai.outputs import MISSING, OutputKind, OutputSpec, digest
from nibai.protocols import Pulled
from nibai.store.lake.delta import Lake
from nibai.store.series.blocks import Blocks, Engine

NOW = datetime(2026, 3, 1, 16, 20, tzinfo=UTC).timestamp()
MODEL = "amazon.nova-lite-v1:0"
ENDPOINT = "bedrock/123456789012.us-east-1/chat"
READING = Reading({MODEL: Model(ENDPOINT, MODEL)}, OutputSpec(OutputKind.TEXT), ("tenant",))
PLACE = "logs/AWSLogs/123456789012/BedrockModelInvocationLogs/us-east-1"


def logged(identity="r1", text="Hello!", at=NOW, **more):
    body = {"output": {"message": {"role": "assistant", "content": [{"text": text}]}}}
    asked = {"messages": [{"role": "user", "content": [{"text": f"say {identity}"}]}]}
    return {
        "schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "modelId": MODEL,
        "timestamp": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "requestId": identity, "operation": "Converse",
        "input": {"inputContentType": "application/json", "inputBodyJson": asked},
        "output": {"outputContentType": "application/json", "outputBodyJson": body},
    } | more  # fmt: skip


def read(record, reading=READING):
    return read_record(json.dumps(record).encode(), reading)


def test_a_record_becomes_an_answer_without_its_text():
    record = logged(requestMetadata={"tenant": "acme", "note": "secret"})
    found, asked = read(record)
    assert (found.endpoint, found.variant, found.request_id) == (ENDPOINT, MODEL, "r1")
    assert found.label == digest("Hello!")
    assert found.segment == "tenant=acme"
    assert found.at == NOW
    assert found.input_hash == made("", record["input"]["inputBodyJson"]).input_hash
    assert "Hello" not in repr(found)
    assert asked == Asked(ENDPOINT, MODEL, NOW, "default", "default")


def test_a_profiles_own_name_is_found_behind_its_address():
    arn = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{MODEL}"
    assert read(logged(modelId=arn))[0].variant == MODEL


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"content": [{"type": "text", "text": "a"}], "id": "x"}, "a"),
        ({"choices": [{"message": {"content": "b"}}]}, "b"),
        ({"generation": "c", "stop_reason": "stop"}, "c"),
        ({"results": [{"outputText": "d"}]}, "d"),
        ([{"type": "x"}, {"delta": {"text": "e"}}, {"delta": {"text": "f"}}], "ef"),
        ([{"contentBlockDelta": {"delta": {"text": "g"}}}], "g"),
        ({"content": [{"type": "tool_use", "id": "t1", "name": "n", "input": {"q": 1}}]},
         '{"input":{"q":1},"name":"n"}'),
        ({"embedding": [1.0]}, MISSING),
    ],
)  # fmt: skip
def test_the_text_of_the_usual_forms(body, text):
    assert usual_text(body) == text


def test_errors_and_answers_of_other_forms_are_invalid_answers():
    assert read(logged(errorCode="ModelTimeoutException"))[0].invalid == "ModelTimeoutException"
    assert read(logged(output={"outputBodyJson": {"embedding": []}}))[0].invalid == "no answer"
    assert read(logged(output={}))[0].invalid == "no answer"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"modelId": "other"}, "of a model that is not configured"),
        ({"requestId": None}, "no request id"),
        ({"timestamp": "now"}, "no time"),
        ({"output": {"outputBodyS3Path": "s3://b/k"}}, "its body lies in the large-data location"),
    ],
)
def test_what_is_no_answer_is_rejected_with_its_reason(change, reason):
    with pytest.raises(RejectedError, match=reason):
        read(logged(**change))


@pytest.mark.parametrize(
    ("more", "how"),
    [
        ({"performanceConfig": {"latency": "optimized"}}, ("optimized", "default")),
        ({"performanceConfig": {"latency": "standard"}}, ("default", "default")),
        ({"serviceTier": {"type": "flex"}}, ("default", "flex")),
        ({"input": {"inputBodyJson": {"service_tier": "priority"}}}, ("default", "priority")),
    ],
)
def test_how_it_was_asked_for_is_read_from_record_or_body(more, how):
    _, asked = read(logged(**more))
    assert (asked.performance, asked.tier) == how


def test_lengths_in_tokens_become_bands_of_segments():
    reading = replace(READING, bands={"in": (128, 1024), "out": (64,)})
    record = logged(requestMetadata={"tenant": "acme"})
    record["input"]["inputTokenCount"] = 500
    record["output"]["outputTokenCount"] = 65
    assert read(record, reading)[0].segment == "tenant=acme,in=129-1024,out=>64"
    assert read(logged(), reading)[0].segment == "", "a record that does not say is in no band"


def test_of_a_log_group_one_page_of_bodies_is_held_at_once():
    body = "x" * 40_000

    class Paged:
        """40 pages of 25 records, made when they are asked for; `held` of their texts are alive."""

        pages = 0

        def call(self, operation, **request):
            if operation == "StartQuery":
                return {"queryId": "q"}
            assert request["maxItems"] == BODIES_AT_ONCE
            self.pages += 1
            rows = [self.row(25 * self.pages + i) for i in range(25)]
            more = {"nextToken": str(self.pages)} if self.pages < 40 else {}
            return {"status": "Complete", "results": rows, **more}

        def row(self, i):
            text = json.dumps(logged(f"r{i}", text=f"{i}{body}", at=NOW - 1100))
            at = datetime.fromtimestamp(NOW - 1100, UTC).strftime("%Y-%m-%d %H:%M:%S.000")
            return [{"field": "at", "value": at}, {"field": "f0", "value": text}]

    logs = GroupLogs(Paged(), "/aws/bedrock", 1200, lambda: NOW, lambda _: None)
    wanted = LogReading(logs, READING, 50)
    source = BedrockSource(Nothing(), None, [], wanted, clock=lambda: NOW, cadence=Cadence(60))
    tracemalloc.start()
    try:
        found = [len(part.predictions) for part in source.pull({})]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(found) == 1000
    assert peak < 6e6, "40 MB of bodies came"


class Nothing:
    """Latencies of which nothing is due."""

    series = ()

    def pull(self, _read_until):
        return []


# -- settings that take over --------------------------------------------------------------------


def judged(requests, known=None):
    settings = Settings(known or {})
    for at, performance in requests:
        settings.add(Asked(ENDPOINT, MODEL, at, performance, "default"))
    return settings.judged()


def runs(*parts):
    return [(start + i, value) for start, n, value in parts for i in range(n)]


def test_a_setting_that_takes_over_is_a_change_once():
    first = judged(runs((0, 50, "default")))
    assert first.changes == ()
    second = judged(runs((1000, 30, "optimized")), first.marks)
    [change] = second.changes
    assert (change.effective_at, change.started_at) == (1000, 49)
    assert change.evidence["performance"] == "default -> optimized"
    assert change.description == f"{MODEL}: latency optimization went from default to optimized"
    assert change.baseline_variant == change.candidate_variant == MODEL
    kept = {name: at for name, at in first.marks.items() if name not in second.finished}
    kept |= second.marks
    assert judged(runs((2000, 30, "optimized")), kept).changes == ()
    [back] = judged(runs((3000, 30, "default")), kept).changes
    assert back.evidence["performance"] == "optimized -> default"
    assert back.id != change.id


def test_a_change_inside_one_reading_is_dated():
    [change] = judged(runs((0, 50, "default"), (1000, 50, "optimized"))).changes
    assert change.effective_at == 1000


@pytest.mark.parametrize(
    "requests",
    [
        [(i, "optimized" if i % 2 else "default") for i in range(200)],
        runs((0, ENOUGH - 1, "optimized"), (0, 500, "default")),
        runs((0, 50, "default"), (1000, ENOUGH - 1, "optimized")),
    ],
)
def test_side_by_side_and_trials_are_no_change(requests):
    first = judged(requests)
    assert first.changes == ()
    assert judged([(at + 1000, value) for at, value in requests], first.marks).changes == ()


# -- end to end ---------------------------------------------------------------------------------


@pytest.fixture
def account(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    monkeypatch.setattr("time.time", lambda: NOW)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return Account(tmp_path, capsys)


class Account:
    """A model that is asked 20 times a minute, of whose requests one a minute is throttled."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys = folder, capsys
        self.metrics, self.s3, self.logs = Metrics(NOW), S3(), Logs()
        self.first = int(NOW // 60) - 33
        rng = np.random.default_rng(2)
        self.values = {self.first + i: rng.lognormal(0, 0.4, 20) for i in range(30)}
        for minute, values in self.values.items():
            self.publish("InvocationLatency", minute, values * 1e3)
            self.publish("InvocationThrottles", minute, [1.0])
            self.publish("InputTokenCount", minute, [100.0] * 20)
            self.publish("OutputTokenCount", minute, [float(minute % 7)] * 20)
        self.publish("InvocationServerErrors", self.first - 1, [1.0, 1.0])

    def publish(self, name, minute, values):
        self.metrics.publish("AWS/Bedrock", name, (("ModelId", MODEL),), minute, values)

    def log(self, hour, records, *, whole=True):
        moment = datetime.fromtimestamp(hour, UTC).strftime("%Y/%m/%d/%H")
        data = gzip.compress("\n".join(json.dumps(one) for one in records).encode(), mtime=0)
        data = data if whole else data[:-20]
        self.s3.put("bucket", f"{PLACE}/{moment}/20260301T_a.json.gz", data, hour)
        self.s3.put("bucket", f"{PLACE}/{moment}/data/r1_input.json.gz", b"", hour)

    def collect(self, logs=None, metrics=("InvocationLatency",)):
        with FakeAws(s3=self.s3, cloudwatch=self.metrics, logs=self.logs) as fake:
            section = {
                "account": "123456789012", "region": "us-east-1", "endpoints": {"chat": [MODEL]},
                "metrics": list(metrics), "detail": "TC 28", "endpoint_url": fake.url,
                "logs": logs or {"destination": "s3://bucket/logs", "since": "6h"},
            }  # fmt: skip
            path = self.folder / "nibai.yaml"
            document = {"data": str(self.folder / "data"), "bedrock": [section]}
            path.write_text(yaml.safe_dump(document), encoding="utf-8")
            code = cli.invoke(["collect", "--once", "--config", str(path)])
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def latency(self, metric="latency"):
        engine = Engine(Lake(self.folder / "data" / "lake"))
        span = Blocks(Window((self.first - 1) * 60.0, (self.first + 30) * 60.0), 1)
        return engine.pooled(ENDPOINT, metric, MODEL, span)[""]

    def tokens(self):
        """All tokens in the lake, by metric."""
        engine = Engine(Lake(self.folder / "data" / "lake"))
        span = Blocks(Window((self.first - 1) * 60.0, (self.first + 30) * 60.0), 1)
        found = {}
        for metric in ("input_tokens", "output_tokens", "cache_read_tokens"):
            blocks = engine.blocks(ENDPOINT, metric, MODEL, span)
            for series in blocks.values():
                found[metric] = sum(float(one.sums.sum()) for one in series.values())
        return found


def test_minutes_hold_their_failures_in_seconds_and_logs_bring_answers_and_changes(account):
    hour = NOW - NOW % 3600 - 3 * 3600
    before = [logged(f"a{i}", at=hour + i) for i in range(30)]
    optimized = {"performanceConfig": {"latency": "optimized"}}
    after = [logged(f"b{i}", at=hour + 3600 + i, **optimized) for i in range(30)]
    account.log(hour, before)
    account.log(hour + 3600, after)
    code, out, err = account.collect()
    assert code == 0, err
    assert "60 answers read, 60 new" in out
    assert f"{MODEL}: latency optimization went from default to optimized" in out
    found = account.latency()
    assert found.n.sum() == 30 * 21 + 2
    assert found.overflow.sum() == 30 + 2, "throttled and lost requests are the slowest"
    raw = np.concatenate([*account.values.values(), np.full(32, np.inf)])
    assert found.quantile([0.5])[0] == pytest.approx(np.quantile(raw, 0.5), rel=0.05)
    assert account.tokens() == {
        "input_tokens": 30 * 20 * 100.0,
        "output_tokens": 20.0 * sum(minute % 7 for minute in account.values),
    }
    code, out, _ = account.collect()
    assert code == 0
    assert ": change chg-" not in out
    assert ", 0 new, 0 revised" in out
    assert account.latency().n.sum() == 30 * 21 + 2


def test_a_truncated_log_keeps_what_came_before_and_is_told_once(account):
    hour = NOW - NOW % 3600 - 2 * 3600
    rng = np.random.default_rng(1)
    records = [logged(f"r{i}", text=str(rng.random(50)), at=hour + i) for i in range(200)]
    account.log(hour, records, whole=False)
    code, out, err = account.collect()
    assert code == 5
    assert "20260301T_a.json.gz: is damaged or ends early" in err
    kept = int(out.split(" answers read")[0].rpartition(" ")[2])
    assert 100 < kept < 200
    code, _, err = account.collect()
    assert code == 0, err
    account.log(hour, records)
    account.s3.objects = {k: (data, NOW) for k, (data, _) in account.s3.objects.items()}
    code, out, err = account.collect()
    assert code == 0, err
    assert f"200 answers read, {200 - kept} new" in out, "the whole file was put there again"


def test_logs_that_are_refused_leave_the_minutes(account):
    account.s3.denied.add(PLACE)
    code, out, err = account.collect()
    assert code == 5
    assert "87 minutes read" in out, "31 of latency, 30 of input and 26 of output tokens"
    assert f"s3://bucket/{PLACE}/: s3:ListObjectsV2" in err


def test_a_metric_of_another_unit_leaves_the_others(account):
    for minute in account.values:
        account.publish("TimeToFirstToken", minute, [0.5] * 20)
    account.metrics.units["TimeToFirstToken"] = "Seconds"
    code, _, err = account.collect(metrics=("TimeToFirstToken", "InvocationLatency"))
    assert code == 5
    assert "TimeToFirstToken: CloudWatch says Seconds where nibai reads Milliseconds" in err
    assert account.latency().n.sum() == 30 * 21 + 2


def test_minutes_wait_while_their_failures_are_not_known(account):
    refused = ServiceError(500, "InternalServiceFault", "again")
    # Four calls of latencies are asked ahead; what follows are their failures.
    account.metrics.faults.errors = dict.fromkeys(range(4, 99), refused)
    account.log(NOW - NOW % 3600, [logged()])
    code, _, err = account.collect()
    assert code == 5
    assert "failed requests are not known, so minutes wait" in err
    account.metrics.faults.errors = {}
    assert account.collect()[0] == 0
    assert account.latency().n.sum() == 30 * 21 + 2


def test_logs_of_a_log_group_are_asked_for_once(account):
    first = NOW // 60 * 60 - 3600
    records = [logged(f"g{i}", at=first + 30 * i) for i in range(60)]
    events = [{"at": first + 30 * i, "@message": json.dumps(one)} for i, one in enumerate(records)]
    account.logs = Logs([*events, {"at": first + 7, "@message": "{}"}], page=7)
    code, out, err = account.collect({"log_group": "/aws/bedrock", "since": "1h"})
    assert code == 0, err
    assert "60 answers read, 60 new" in out
    assert "1 lines left out: no invocation record" in out
    asked = len(account.logs.queries)
    assert all(one["logGroupName"] == "/aws/bedrock" for one in account.logs.queries)
    assert account.collect({"log_group": "/aws/bedrock", "since": "1h"})[0] == 0
    assert len(account.logs.queries) == asked


@pytest.mark.parametrize("logs", [{}, {"destination": "s3://bucket/logs", "log_group": "g"}])
def test_logs_lie_in_one_place(account, logs):
    code, _, err = account.collect(logs | {"since": "1h"})
    assert code == 2
    assert "give either destination (s3://…) or log_group" in err


def test_failures_belong_to_the_call_of_their_own_model(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    models = [Model(ENDPOINT, f"m{i}") for i in range(6)]
    metrics, minute = Metrics(NOW), int(NOW // 60) - 20
    for model in models:
        dimensions = (("ModelId", model.model_id),)
        metrics.publish("AWS/Bedrock", "InvocationLatency", dimensions, minute, [100.0] * 9)
        metrics.publish("AWS/Bedrock", "InvocationThrottles", dimensions, minute, [1.0])
    with FakeAws(cloudwatch=metrics) as fake:
        client = CloudWatchClient("us-east-1", endpoint_url=fake.url)
        series = [one for model in models for one in model_series(model, ["InvocationLatency"])]
        latencies = CloudWatchSource(client, series, clock=lambda: NOW, wait=lambda _: None)
        caller = AwsClient("cloudwatch", "us-east-1", endpoint_url=fake.url)
        source = BedrockSource(
            latencies, caller, models, None, clock=lambda: NOW, cadence=Cadence(60)
        )
        stands = dict.fromkeys(latencies.series, NOW - 600)
        first = source.first_dollars(stands)
        parts = list(source.pull(stands))
    found = [(one.key.variant, one.count, one.errors) for p in parts for one in p.observations]
    assert len(parts) == 2, "six series of 115 statistics are two calls"
    assert sorted(found) == [(f"m{i}", 10, 1) for i in range(6)], "each minute once, and whole"
    paid = sum(p.dollars for p in parts)
    assert paid == pytest.approx(metrics.billed_metrics * 1e-5)
    assert paid <= first, "said beforehand, with what is counted beside the latencies"
    assert [p.next_dollars for p in parts] == [0.0, 0.0]


def test_minutes_that_wait_for_their_failures_are_asked_again_as_well():
    """What is wished stays wished, and what logs cost nobody knows before."""
    key = SeriesKey(ENDPOINT, MODEL, "", "", "latency")
    nothing = np.zeros(0, dtype=np.int64)
    minute = Observation(
        key, int(NOW // 60), nothing.astype(np.int32), nothing, 3, 0.3, 0.1, 0.1
    )  # fmt: skip
    part = Pulled(
        [minute], Window(NOW, NOW + 60), {}, 1e-5, {}, finished=["again:1:x"], next_dollars=0.0
    )  # fmt: skip

    class Latencies(Nothing):
        series = ()

        def pull(self, _read_until):
            yield part

    class Refusing:
        def call(self, *_, **__):
            raise CollectError("not now", retryable=True)

    models = [Model(ENDPOINT, MODEL)]
    wanted = LogReading(GroupLogs(Logs(), "g", None, lambda: NOW, lambda _: None), READING, 9)
    for logs, ahead in ((None, 0.0), (wanted, None)):
        source = BedrockSource(
            Latencies(), Refusing(), models, logs, clock=lambda: NOW, cadence=Cadence(60)
        )  # fmt: skip
        first = next(iter(source.pull({})))
        assert (first.finished, first.next_dollars) == ((), ahead)
        assert first.problems
