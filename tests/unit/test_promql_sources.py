"""CloudWatch's Prometheus API and a Prometheus of one's own, as `nibai collect` reads them."""

import json
import re
from pathlib import Path

import boto3
import numpy as np
import pytest
import yaml
from fakeaws.metrics import Metrics
from fakeaws.promql import Promql
from fakeaws.server import FakeAws

from collector.promql.client import PromqlClient
from collector.promql.cloudwatch import wanted_metrics
from collector.promql.prometheus import build, filled, keyed
from collector.promql.prometheus import wanted_metrics as of_prometheus
from collector.promql.sigv4 import SigV4, address
from collector.promql.wanted import Kind
from nibai import cli, plugins
from nibai.config import Config, PrometheusMetric, load_config
from nibai.errors import AuthError, ConfigError
from nibai.model import SeriesKey, Window
from nibai.protocols import Puller
from nibai.store.lake.delta import Lake
from nibai.store.series.blocks import Blocks, Engine
from nibai.store.state.database import open_state
from nibai.store.state.freshness import read_until

NOW = 1_764_000_000.0 // 3600 * 3600 + 180
MINUTES = 3 * 60
SPEEDUP = 1.7
ENDPOINT = "sagemaker/123456789012.eu-west-1/chat"
ACCOUNT = {"account": "123456789012", "region": "eu-west-1"}
SECRET = "wJalrXUtnFEMIEXAMPLEKEY"  # noqa: S105 - not a real one


@pytest.fixture
def invoke(monkeypatch, tmp_path, capsys):
    """Run a command with a document as nibai.yaml: (exit code, what was said)."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("PROMETHEUS_TOKEN", "hush-hush")
    monkeypatch.setattr("time.time", lambda: NOW)
    monkeypatch.setattr("time.sleep", lambda _: None)

    def run(document, *arguments):
        path = tmp_path / "nibai.yaml"
        path.write_text(yaml.safe_dump({"data": str(tmp_path / "data"), **document}), "utf-8")
        code = cli.invoke([*arguments, "--config", str(path)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def requests(labels, *, unit=1e6, seed=11, name="ModelLatency"):
    """Three hours of an endpoint, made 1.7 times faster in the middle; values in the unit."""
    rng = np.random.default_rng(seed)
    start = NOW - 180 - 60 * MINUTES
    times = start + np.sort(rng.uniform(0.01, 60 * MINUTES, 50 * MINUTES))
    values = np.where(rng.random(len(times)) < 0.03, 6, 1) * rng.lognormal(-2, 0.35, len(times))
    values = np.where(times < start + 30 * MINUTES, values, values / SPEEDUP)
    return {name: [(labels, times, values * unit)]}, start + 30 * MINUTES, (times, values)


BLUE = {"EndpointName": "chat", "VariantName": "blue"}


def section(url, **more):
    found = {**ACCOUNT, "endpoints": {"chat": ["blue"]}, "metrics": ["ModelLatency"]}
    return {"cloudwatch": [{**found, "path": "promql", "endpoint_url": url, **more}]}


def test_an_audit_of_collected_histograms_agrees_with_the_requests(invoke):
    data, moved, (times, values) = requests(BLUE)
    with FakeAws(promql=Promql(data, schema=5)) as fake:
        code, out, err = invoke(section(fake.url), "collect", "--once")
        assert code == 0, err
        assert "1 metrics by PromQL" in out
        said = re.search(r"([\d,]+) minutes read in .* ([\d,]+) new, 0 revised", out)
        assert int(said[2].replace(",", "")) >= MINUTES - 1
        again = invoke(section(fake.url), "collect", "--once")[1]
        assert " 0 new, 0 revised" in again
    code, out, err = invoke(
        {}, "changes", "declare", "--endpoint", ENDPOINT, "--kind", "instance_type", "--at",
        str(moved), "--claim", "model_latency 1.5x faster at p50",
    )  # fmt: skip
    assert code == 0, err
    code, out, err = invoke({}, "audit", out.strip(), "--format", "json")
    claim = json.loads(out)["claims"][0]
    truth = np.quantile(values[times < moved], 0.5) / np.quantile(values[times >= moved], 0.5)
    assert claim["estimate"]["value"] == pytest.approx(truth, rel=0.01)
    assert claim["estimate"]["low"] < SPEEDUP < claim["estimate"]["high"]


def test_the_bill_is_said_before_and_metered_after(invoke):
    data, _, _ = requests(BLUE)
    with FakeAws(promql=Promql(data)) as fake:
        code, out, _ = invoke(section(fake.url), "collect", "--dry-run")
        assert code == 0
        assert fake.backends["promql"].asked == [], "a dry run asks nothing"
        assert "cloudwatch-123456789012-eu-west-1: 1 metrics by PromQL" in out
        assert re.search(
            r"now 28 calls, at most 40,3\d\d datapoints, \$0\.0004; \$0\.01 a month", out
        )
        out = invoke(section(fake.url), "collect", "--once")[1]
        assert re.search(r"metered \$0\.000[12]", out), "idle days are asked twice"


def test_requests_are_signed_for_monitoring_and_say_no_secret(invoke):
    data, _, _ = requests(BLUE)
    with FakeAws(promql=Promql(data)) as fake:
        assert invoke(section(fake.url), "collect", "--once")[0] == 0
        headers = fake.backends["promql"].headers
        assert all(
            re.match(
                r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/eu-west-1/monitoring/aws4_request",
                one["Authorization"],
            )
            for one in headers
        )
        fake.backends["promql"].failures = [(403, "not authorized to perform QueryMetrics")] * 9
        code, out, err = invoke(section(fake.url), "collect", "--once")
        assert code == 5
        assert "refused (403): not authorized to perform QueryMetrics" in err
        assert SECRET not in out + err


def test_a_signature_covers_the_body_and_the_query():
    class Credentials:
        access_key, secret_key, token = "AKID", SECRET, None

    sign = SigV4("eu-west-1", Credentials)
    url = "https://monitoring.eu-west-1.amazonaws.com/api/v1/query_range"
    told = {sign("POST", url, body)["Authorization"] for body in (b"query=a", b"query=b")}
    told |= {sign("GET", f"{url}?start={n}", b"")["Authorization"] for n in (1, 2)}
    assert len(told) == 4


def test_refused_credentials_are_looked_for_again_and_missing_ones_told(monkeypatch):
    asked = []

    class Credentials:
        access_key, secret_key, token = "AKID", SECRET, None

        def __init__(self):
            asked.append(self)

    signer = SigV4("eu-west-1", Credentials)
    client = PromqlClient("https://x", lambda *_: (403, b"expired"), signer, lambda _: None,
                          refused=signer.renew)  # fmt: skip
    for number in (1, 2):
        with pytest.raises(AuthError, match=r"refused \(403\)"):
            client.label_values("__name__", None, None)
        assert len(asked) == number
    monkeypatch.setenv("AWS_PROFILE", "nobody-has-this")
    with pytest.raises(AuthError, match="no usable AWS credentials: set a profile"):
        SigV4("eu-west-1")("GET", "https://x", b"")


@pytest.mark.parametrize("region", ["eu-west-1", "cn-north-1", "eusc-de-east-1", "us-gov-west-1"])
def test_the_api_is_asked_where_boto3_would_ask(region):
    signed = {"aws_access_key_id": "AKID", "aws_secret_access_key": SECRET}
    client = boto3.client("cloudwatch", region_name=region, **signed)
    assert address(region) == client.meta.endpoint_url


def test_auto_takes_classic_metrics_where_promql_has_nothing(invoke):
    metrics = Metrics(NOW, page=5000)
    series = ("AWS/SageMaker", "ModelLatency", (("EndpointName", "chat"), ("VariantName", "blue")))
    for minute in range(int(NOW // 60) - 30, int(NOW // 60) - 3):
        metrics.publish(*series, minute, np.full(20, 1e5))
    empty = Promql({})
    with FakeAws(cloudwatch=metrics, promql=empty) as fake:
        metrics_ = ["ModelLatency", "ttft"]  # the second one is of PromQL only
        document = section(fake.url, path="auto", detail="TC 28", metrics=metrics_)
        code, out, err = invoke(document, "collect", "--once")
        assert (code, "1 series, TC 28" in out) == (0, True), err
        empty.failures = [(403, "denied")]
        assert "1 series, TC 28" in invoke(document, "collect", "--dry-run")[1]
        empty.requests = requests(BLUE)[0]
        assert "2 metrics by PromQL" in invoke(document, "collect", "--dry-run")[1]


def test_failed_requests_are_the_slowest_and_are_judged(invoke, tmp_path):
    data, _, (times, values) = requests(BLUE)
    failed = np.zeros(len(times))
    failed[::10] = 1.0
    values[::10] = 1e-4  # a failure that answers at once must not look fast
    data["ModelLatency"] = [(BLUE, times, values * 1e6)]
    ones = np.ones(len(times))
    counters = {
        "Invocations": [(BLUE, times, ones)],
        "Invocation4XXErrors": [(BLUE, times, 0 * ones)],
        "Invocation5XXErrors": [(BLUE, times, failed)],
    }
    with FakeAws(promql=Promql(data, counters=counters)) as fake:
        assert invoke(section(fake.url), "collect", "--once")[0] == 0
    engine = Engine(Lake(tmp_path / "data" / "lake"))
    blocks = Blocks(Window(times[0] - 60, times[-1] + 60), 1)
    [series] = engine.blocks(ENDPOINT, "model_latency", "blue", blocks)[""].values()
    assert series.errors.sum() == series.histograms.overflow.sum() == failed.sum()
    assert series.histograms.n.sum() == len(times)
    assert series.histograms.total().quantile([0.02])[0] > 0.01
    gone = times < times[0] + 600.0
    outage = {"ModelLatency": [(BLUE, times[~gone], values[~gone] * 1e6)]}
    counters["Invocation5XXErrors"] = [(BLUE, times, np.where(gone, 1.0, failed))]
    with FakeAws(promql=Promql(outage, counters=counters)) as fake:
        document = {**section(fake.url), "data": str(tmp_path / "outage")}
        assert invoke(document, "collect", "--once")[0] == 0
    engine = Engine(Lake(tmp_path / "outage" / "lake"))
    [series] = engine.blocks(ENDPOINT, "model_latency", "blue", blocks)[""].values()
    assert series.histograms.n.sum() == len(times), "an outage is not left out"
    without = Promql(data)
    with FakeAws(promql=without) as fake:
        out = invoke({**section(fake.url), "data": str(tmp_path / "two")}, "collect", "--once")[1]
    assert "stretches without counters of failed requests" in out


def test_what_is_dearer_than_the_limit_is_not_read(invoke):
    with FakeAws(promql=Promql(requests(BLUE)[0])) as fake:
        document = section(fake.url, dollars_per_month=0.0001)
        code, _, err = invoke(document, "collect", "--once")
        assert code == 2
        assert "PromQL: reading 1 metrics costs $0.0075 a month at one series each" in err
        assert fake.backends["promql"].asked == []


# -- names and labels in CloudWatch -----------------------------------------------------------


def cloudwatch(*metrics, variants=("blue", "ic:adapter")):
    return wanted_metrics({**ACCOUNT, "endpoints": {"chat": variants}, "metrics": metrics})


def both(kept_in, classic="Microseconds", scale=1e6, **promql):
    """PromQL in a unit beside the classic metric of the same requests (its values in `scale`)."""
    data, _, (times, values) = requests(BLUE, unit=kept_in)
    metrics = Metrics(NOW)
    metrics.units["ModelLatency"] = classic
    dimensions = tuple(sorted(BLUE.items()))
    for minute in np.unique(times // 60).astype(int):
        own = values[times // 60 == minute] * scale
        metrics.publish("AWS/SageMaker", "ModelLatency", dimensions, minute, own)
    return FakeAws(promql=Promql(data, **promql), cloudwatch=metrics), metrics


@pytest.mark.parametrize(
    ("unit", "told", "form"), [(1.0, "1.77e-07", "native"), (1e3, "0.000177", "floats")]
)
def test_another_unit_than_documented_is_seen_beside_the_classic_metric(invoke, unit, told, form):
    server, metrics = both(unit, form=form)
    with server as fake:
        code, out, err = invoke(section(fake.url), "collect", "--once")
        assert code == 5
        assert " 0 new" in out or "0 minutes read" in out
        found = re.search(r"PromQL: ModelLatency of \S+ blue averages (\S+) s where the classic "
                          r"metric says (\S+) s \(in Microseconds\)", err)  # fmt: skip
        assert found, err
        assert float(found[1]) == pytest.approx(float(told), rel=0.4)
        assert float(found[2]) == pytest.approx(0.17, rel=0.3)
        assert "kept in another unit than microseconds: nothing of it is read" in err
        # Nothing is settled: it is asked again.
        invoke(section(fake.url), "collect", "--once")
    assert metrics.unit_requests == ["ModelLatency"] * 2


def test_the_documented_unit_is_compared_once_and_what_that_cost_is_metered(invoke):
    server, metrics = both(1e6)
    with server as fake:
        code, out, err = invoke(section(fake.url), "collect", "--once")
        assert code == 0, err
        assert "taken as documented" not in out
        invoke(section(fake.url), "collect", "--once")
    assert metrics.unit_requests == ["ModelLatency"]


def test_a_classic_metric_in_milliseconds_is_understood(invoke):
    server, _ = both(1e6, classic="Milliseconds", scale=1e3)
    with server as fake:
        assert invoke(section(fake.url), "collect", "--once")[0] == 0


@pytest.mark.parametrize(("label", "ends"), [("us", 0), ("Microseconds", 0), ("ms", 5), ("s", 5)])
def test_a_label_that_tells_the_unit_is_believed(invoke, label, ends):
    server, metrics = both(1e6, unit=label)
    with server as fake:
        code, _, err = invoke(section(fake.url), "collect", "--once")
    assert code == ends
    assert metrics.unit_requests == []
    if ends:
        assert (
            f"PromQL: ModelLatency is in {label} by its label __unit__ where nibai reads "
            "microseconds: nothing of it is read"
        ) in err


def test_where_there_is_nothing_to_compare_with_it_is_said(invoke):
    data, _, _ = requests(BLUE)
    with FakeAws(promql=Promql(data), cloudwatch=Metrics(NOW)) as fake:
        code, out, _ = invoke(section(fake.url), "collect", "--once")
        assert code == 0
    assert "PromQL: units of ModelLatency taken as documented: nothing to compare them with" in out


def test_a_settled_unit_is_no_series_that_is_left_behind(tmp_path):
    state = open_state(tmp_path / "state.sqlite")
    source, series = "cloudwatch-123456789012-eu-west-1", "promql/x/ModelLatency/EndpointName=chat"
    state.set_read_until(source, {series: NOW, f"unit:{series}": NOW - 86400})
    assert read_until(state, ENDPOINT) == (source, NOW)
    state.close()


def test_dimension_sets_have_names_of_their_own():
    of_variant, of_component = cloudwatch("ModelLatency")
    assert of_variant.names == ("ModelLatency",)
    assert of_variant.matchers == (("EndpointName", "chat"),)
    assert of_variant.key(BLUE) == SeriesKey(ENDPOINT, "blue", "", "", "model_latency")
    assert of_variant.key({**BLUE, "VariantName": "other"}) is None
    assert of_variant.factor == 1e-6
    assert of_component.names == ("ModelLatencyForIc",)
    assert of_component.matchers == (("InferenceComponentName", "adapter"),)
    assert of_component.key({}).variant == "ic:adapter"
    [by_type] = cloudwatch("OverheadLatencyByAzByInstanceType")
    key = by_type.key({**BLUE, "AvailabilityZone": "a", "InstanceType": "ml.g5.xlarge"})
    assert (key.replica, key.metric) == ("type=ml.g5.xlarge,az=a", "overhead_latency_by_type")
    assert by_type.key(BLUE) is None
    [by_instance] = cloudwatch("ModelLatencyByInstanceId")
    key = by_instance.key({**BLUE, "InstanceId": "i-1"})
    assert (key.replica, key.metric) == ("i-1", "model_latency")
    assert by_instance.key(BLUE) is None
    assert by_instance.failures[0] == "InvocationsByInstanceId"
    with pytest.raises(ConfigError, match="hold the same requests: read one"):
        cloudwatch("ModelLatency", "ModelLatencyByInstanceId")


def test_metrics_of_the_containers_are_known_by_quoted_labels():
    [ttft] = cloudwatch("ttft")
    assert ttft.names[:2] == (
        "vllm:time_to_first_token_seconds",
        "vllm_time_to_first_token_seconds",
    )
    assert ttft.matchers == (("aws.sagemaker.endpoint.name", "chat"),)
    labels = {"aws.sagemaker.variant.name": "blue", "@resource.host.id": "i-1"}
    assert ttft.key(labels) == SeriesKey(ENDPOINT, "blue", "i-1", "", "ttft")
    assert ttft.key({"aws.sagemaker.inference_component.name": "adapter"}).variant == "ic:adapter"
    assert ttft.key({}) is None
    [busy] = cloudwatch("accelerator_use")
    assert (busy.names, busy.factor) == (("DCGM_FI_DEV_GPU_UTIL",), 0.01)
    [named] = cloudwatch("sglang:generation_tokens_total")
    assert named.names[0] == "sglang:generation_tokens_total"
    with pytest.raises(ConfigError, match="metric 'Latency' is not known by PromQL; there are Mod"):
        cloudwatch("Latency")


# -- a Prometheus of one's own ------------------------------------------------------------------

OWN = {
    "url": "http://127.0.0.1:9090",
    "endpoint": "onprem/tokyo/{model_name}",
    "metrics": {"ttft": "auto", "latency": "app_request_seconds"},
}


def test_templates_name_the_series():
    assert filled("{a}-{b}", {"a": "x"}) == "x-"
    key = keyed("latency", endpoint="onprem/{ns}/{job}", variant="{v}", replica="{instance}",
                segment_by=["tenant", "model"])  # fmt: skip
    labels = {"ns": "tokyo", "job": "ocr", "v": "fp16", "instance": "10.0.0.1:80", "tenant": "a"}
    assert key(labels) == SeriesKey(
        "onprem/tokyo/ocr", "fp16", "10.0.0.1:80", "tenant=a", "latency"
    )
    assert key({**labels, "v": ""}) is None
    assert key({**labels, "ns": ""}) is None


def test_a_prometheus_is_read_into_the_lake(invoke):
    labels = {"model_name": "ocr", "version": "fp16", "instance": "a"}
    name = "vllm:time_to_first_token_seconds"
    data, _, (times, _) = requests(labels, unit=1.0, name=name)
    server = Promql(data, form="classic", temporality="cumulative", labelled=False)
    with FakeAws(promql=server) as fake:
        own = {**OWN, "url": fake.url, "token": "env:PROMETHEUS_TOKEN", "backfill": "7h",
               "metrics": {"ttft": "auto"}}  # fmt: skip
        code, out, err = invoke({"prometheus": [own]}, "collect", "--once")
        assert code == 0, err
        assert "prometheus-main: 1 metrics by PromQL, read every 1 minutes; now 1 calls" in out
        assert server.headers[0]["Authorization"] == "Bearer hush-hush"
    code, out, err = invoke({}, "lake", "info")
    assert "onprem/tokyo/ocr" in out
    assert f"{len(times):,}" in out or "fp16" in out


def test_units_come_from_names_or_are_asked_for():
    told = {
        **OWN,
        "metrics": {
            "latency": PrometheusMetric(name="rpc", unit="ms"),
            "queue_time": "queue_time_us",
            "output_tokens": PrometheusMetric(name="tokens", kind="counter"),
        },
    }
    found = {one.metric: one for one in of_prometheus(told)}
    assert found["latency"].factor == 1e-3
    assert found["queue_time"].factor == 1e-6
    assert found["output_tokens"].factor == 1.0
    in_percent = PrometheusMetric(name="gpu", unit="%", kind="gauge")
    for given in ("auto", in_percent):
        [use] = of_prometheus({**OWN, "metrics": {"accelerator_use": given}})
        assert (use.factor, use.kind) == (0.01, Kind.GAUGE)
    assert of_prometheus({**OWN, "metrics": {"accelerator_use": "auto"}})[0].names == (
        "DCGM_FI_DEV_GPU_UTIL",
    )
    with pytest.raises(ConfigError, match="nothing says the unit of 'rpc'"):
        of_prometheus({**OWN, "metrics": {"latency": "rpc"}})
    with pytest.raises(ConfigError, match="no engine's name of 'cold_start' is known"):
        of_prometheus({**OWN, "metrics": {"cold_start": "auto"}})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "ftp://x"}, "prometheus.0.url"),
        ({"url": "http://user:pass@x"}, "prometheus.0.url"),
        ({"endpoint": "ocr"}, "written provider/scope/name"),
        ({"token": "plain"}, "a secret is a reference"),
        ({"metrics": {"latency": {"name": "x", "unit": "days"}}}, "metrics"),
    ],
)
def test_configurations_that_are_none_are_refused(change, said):
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        Config.model_validate({"prometheus": [{**OWN, **change}]})


def test_the_plug_ins_pull():
    assert isinstance(build(OWN), Puller)
    options = {**ACCOUNT, "endpoints": {"chat": ("blue",)}, "metrics": ("ModelLatency",)}
    assert isinstance(plugins.load("nibai.collectors", "cloudwatch_promql", options), Puller)


def test_nobody_answering_is_a_problem_of_that_source(invoke):
    own = {**OWN, "url": "http://127.0.0.1:9"}
    code, _, err = invoke({"prometheus": [own]}, "collect", "--once")
    assert code == 5
    assert "PromQL at 127.0.0.1:9: not reached" in err


def test_the_configurations_shown_are_valid(tmp_path):
    docs = Path(__file__).parents[2] / "docs"
    example = tmp_path / "nibai.yaml"
    shown = (docs / "prometheus.md").read_text(encoding="utf-8").split("```yaml\n")[1]
    example.write_text(shown.split("```")[0], encoding="utf-8")
    [own] = load_config(example, {}).prometheus
    assert {one.metric: one.factor for one in of_prometheus(dict(own))} == {
        "ttft": 1.0, "output_tokens": 1.0, "latency": 1.0, "queue_time": 1e-3,
    }  # fmt: skip
    page = (docs / "cloudwatch.md").read_text(encoding="utf-8")
    [shown] = [part for part in page.split("```yaml\n")[1:] if "path: auto" in part.split("```")[0]]
    example.write_text(shown.split("```")[0], encoding="utf-8")
    [account] = load_config(example, {}).cloudwatch
    assert account.plugin == "cloudwatch_promql"
    found = {one.metric for one in wanted_metrics(dict(account))}
    assert found == {"model_latency", "overhead_latency", "ttft", "tpot", "output_tokens"}
