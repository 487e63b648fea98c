"""`nibai collect` end to end: CloudWatch over HTTP, the lake, an audit; the bill as planned."""

import json
import re
import shutil
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from fakeaws.metrics import Faults, Metrics, ServiceError
from fakeaws.server import FakeAws

from collector.bedrock.series import Model, latency_series
from collector.cloudwatch import cadence
from collector.cloudwatch.series import PUBLISHED, variant_series
from nibai import cli
from nibai.app.audit import unread_notes
from nibai.app.collect import Source, collect, configured
from nibai.cli.collect import command
from nibai.config import Config
from nibai.document import iso
from nibai.model import Change, Window
from nibai.store.lake.delta import Lake
from nibai.store.series.blocks import Blocks, Engine
from nibai.store.state.database import open_state
from nibai.store.state.metered import bill
from nibai.store.state.watermarks import watermarks

NOW = 1_764_000_000.0 // 3600 * 3600 + 180
MINUTES = 6 * 60
SPEEDUP = 1.7
ENDPOINT = "sagemaker/123456789012.eu-west-1/chat"


@pytest.fixture
def account(monkeypatch, tmp_path):
    stand_still(monkeypatch)
    return Account(tmp_path)


def stand_still(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    monkeypatch.setattr("time.time", lambda: NOW)
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """What finely bucketed reading left behind; (folder of the data, how the command ended)."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        stand_still(monkeypatch)
        account = Account(tmp_path_factory.mktemp("collected"))
        return account.folder, account.nibai("collect", "--once", detail="TC 109")


@pytest.fixture
def finely_read(account, collected):
    """An account that was read once, finely."""
    folder, _ = collected
    shutil.copytree(folder / "data", account.folder / "data")
    return account


class Result:
    """How a command ended and what it said."""

    def __init__(self, arguments):
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            self.exit_code = cli.invoke([*arguments])
        self.output, self.stdout = out.getvalue() + err.getvalue(), out.getvalue()


class Account:
    """Six hours of one endpoint, made 1.7 times faster in the middle; every request known."""

    series = ("AWS/SageMaker", "ModelLatency", (("EndpointName", "chat"), ("VariantName", "blue")))

    def __init__(self, folder):
        self.folder = folder
        self.metrics = Metrics(NOW, page=5000)
        self.truth = {}
        rng = np.random.default_rng(11)
        for minute in range(int(NOW // 60) - 3 - MINUTES, int(NOW // 60) - 3):
            speed = 1.0 if minute < int(NOW // 60) - 3 - MINUTES // 2 else SPEEDUP
            values = np.where(rng.random(50) < 0.03, 6, 1) * rng.lognormal(-2, 0.35, 50) / speed
            self.publish(minute, values)

    def publish(self, minute, values):
        self.truth[minute] = values
        self.metrics.publish(*self.series, minute, values * 1e6)

    def nibai(self, *arguments, **settings):
        with FakeAws(cloudwatch=self.metrics) as fake:
            config = {
                "account": "123456789012",
                "region": "eu-west-1",
                "endpoints": {"chat": ["blue"]},
                "metrics": ["ModelLatency"],
                "detail": "TC 28",
                "endpoint_url": fake.url,
                "own_range": False,
                **settings,
            }
            path = self.folder / "nibai.yaml"
            document = {"data": str(self.folder / "data"), "cloudwatch": [config]}
            path.write_text(yaml.safe_dump(document), encoding="utf-8")
            return Result([*arguments, "--config", str(path)])

    def histogram(self, first, last):
        engine = Engine(Lake(self.folder / "data" / "lake"))
        blocks = Blocks(Window(first * 60.0, last * 60.0), 1)
        return engine.pooled(ENDPOINT, "model_latency", "blue", blocks)[""]


def minutes_said(output):
    found = re.search(r"([\d,]+) minutes read .* ([\d,]+) new, ([\d,]+) revised", output)
    return [int(number.replace(",", "")) for number in found.groups()]


def test_what_is_collected_is_the_request_level_truth(finely_read, collected):
    account, (_, result) = finely_read, collected
    assert result.exit_code == 0, result.output
    assert f"{MINUTES:,} minutes read" in result.output
    half = MINUTES // 2
    minutes = sorted(account.truth)
    for start in (0, half):
        part = minutes[start : start + half]
        found = account.histogram(part[0], part[-1] + 1)
        raw = np.concatenate([account.truth[minute] for minute in part])
        assert found.n.sum() == len(raw)
        for p, off in ((0.5, 0.01), (0.9, 0.02), (0.99, 0.03)):
            assert found.quantile([p])[0] == pytest.approx(np.quantile(raw, p), rel=off)
    state = open_state(account.folder / "data" / "state.sqlite")
    mark = watermarks(state, ENDPOINT)["model_latency"]
    assert (mark.read_until, mark.final_until) == (NOW - 180, NOW - 180 - 3 * 3600)
    assert bill(state, mark.source, "2025-11").dollars > 0
    state.close()


def test_the_plan_is_said_first_and_the_meter_agrees(account):
    planned = account.nibai("collect", "--dry-run")
    assert planned.exit_code == 0
    assert account.metrics.requests == 0, "a dry run asks nothing"
    said = re.search(r"now (\d+) calls, .*, \$([\d.]+); \$([\d.]+) a month", planned.output)
    done = account.nibai("collect", "--once")
    metered = float(re.search(r"metered \$([\d.]+)", done.output).group(1))
    assert metered == float(said.group(2)) == round(account.metrics.billed_metrics * 1e-5, 4)
    assert said.group(3) == "0.08", "with 48 readings around a change"


def test_the_second_reading_asks_only_for_the_last_hours_and_finds_nothing_new(account):
    account.nibai("collect", "--once")
    billed = account.metrics.billed_metrics
    again = account.nibai("collect", "--once")
    assert minutes_said(again.output) == [180, 0, 0]
    assert account.metrics.billed_metrics - billed == 7 + 3, "buckets, and failures"


@pytest.mark.parametrize("with_latency", [True, False])
def test_failed_requests_are_judged_and_are_the_slowest(account, with_latency):
    """Whether CloudWatch gives a failed request a latency is not documented: both ways."""
    rng = np.random.default_rng(5)
    minutes = sorted(account.truth)
    dimensions = account.series[2]
    for minute in minutes:
        values = account.truth[minute]
        failed = rng.random(len(values)) < (0.01 if minute < minutes[MINUTES // 2] else 0.08)
        values = np.where(failed, 0.001, values)  # a failure answers at once
        account.publish(minute, values if with_latency else values[~failed])
        for name, counted in (
            ("Invocations", np.ones(50)),
            ("Invocation4XXErrors", failed & (np.arange(50) % 2 == 0)),
            ("Invocation5XXErrors", failed & (np.arange(50) % 2 == 1)),
        ):
            account.metrics.publish("AWS/SageMaker", name, dimensions, minute, counted)
        account.truth[minute] = np.where(failed, np.inf, values)
    result = account.nibai("collect", "--once", detail="TC 109")
    assert "failed requests, the slowest of all" in result.output
    raw = np.concatenate([account.truth[minute] for minute in minutes])
    found = account.histogram(minutes[0], minutes[-1] + 1)
    assert found.n.sum() == len(raw)
    assert found.overflow.sum() == np.isinf(raw).sum()
    assert found.quantile([0.5])[0] == pytest.approx(np.quantile(raw, 0.5), rel=0.01)
    declared = account.nibai(
        "changes", "declare", "--endpoint", ENDPOINT, "--kind", "instance_type",
        "--at", str(minutes[MINUTES // 2] * 60), "--claim", "errors up at most 1pp",
    )  # fmt: skip
    audit = json.loads(account.nibai("audit", declared.stdout.strip(), "--format", "json").stdout)
    (claim,) = audit["claims"]
    assert claim["estimate"]["value"] == pytest.approx(0.07, abs=0.01)
    assert claim["estimate"]["low"] > 0.01
    again = account.nibai("collect", "--once", detail="TC 109")
    assert minutes_said(again.output) == [180, 0, 0]


@pytest.mark.parametrize("with_latency", [True, False])
def test_an_asynchronous_endpoint_counts_no_requests(account, with_latency):
    """It has failed requests and no Invocations; in an outage of ten minutes all of them fail."""
    minutes, dimensions, counts = sorted(account.truth), account.series[2], []
    for number, minute in enumerate(minutes):
        failed = np.arange(50) < (50 if 100 <= number < 110 else 4)
        values = np.where(failed, 0.001, account.truth[minute])
        own = values if with_latency else values[~failed]
        if len(own):
            account.publish(minute, own)
        else:
            del account.metrics.values[account.series][minute]
        account.metrics.publish(
            "AWS/SageMaker", "Invocation5XXErrors", dimensions, minute, np.ones(failed.sum())
        )
        account.truth[minute] = np.where(failed, np.inf, values)
        counts.append(max(len(own), failed.sum()))
    result = account.nibai("collect", "--once", detail="TC 109")
    assert result.exit_code == 0
    said = f"{MINUTES} minutes whose failed requests are taken to be among those with a latency"
    assert said in result.output
    found = account.histogram(minutes[0], minutes[-1] + 1)
    assert found.overflow.sum() == 4 * (MINUTES - 10) + 50 * 10, "an outage is not left out"
    assert found.n.sum() == sum(counts)
    raw = np.concatenate([account.truth[minute] for minute in minutes])
    # Where failed ones have none, too many of the fastest are taken away: never too few.
    median = found.quantile([0.5])[0] / np.quantile(raw, 0.5)
    assert 0.99 < median < (1.01 if with_latency else 1.1)


def test_a_late_and_a_revised_minute_arrive_once(account):
    account.nibai("collect", "--once")
    minutes = sorted(account.truth)
    account.publish(minutes[-30], np.append(account.truth[minutes[-30]], [0.2, 0.3]))
    del account.metrics.values[account.series][minutes[-20]]  # no longer answered: it stays
    again = account.nibai("collect", "--once")
    assert minutes_said(again.output) == [179, 0, 1]
    found = account.histogram(minutes[0], minutes[-1] + 1)
    assert found.n.sum() == 50 * MINUTES + 2


def test_half_of_all_calls_throttled_loses_nothing(account):
    account.metrics.faults = Faults(throttle=range(0, 10_000, 2))
    result = account.nibai("collect", "--once")
    assert result.exit_code == 0, result.output
    minutes = sorted(account.truth)
    assert account.histogram(minutes[0], minutes[-1] + 1).n.sum() == 50 * MINUTES


def test_a_reading_that_is_cut_off_goes_on_where_it_was(account):
    denied = ServiceError(403, "AccessDenied", "not authorized to perform GetMetricData")
    account.metrics.faults = Faults(errors={5: denied})
    cut = account.nibai("collect", "--once")
    assert cut.exit_code == 5
    assert "see the policy in deploy/iam" in cut.output
    account.metrics.faults = Faults()
    whole = account.nibai("collect", "--once")
    assert whole.exit_code == 0
    minutes = sorted(account.truth)
    assert account.histogram(minutes[0], minutes[-1] + 1).n.sum() == 50 * MINUTES


def test_a_reading_that_is_asked_to_stop_ends_after_what_is_paid_for(account):
    account.nibai("collect", "--dry-run")  # writes the configuration
    parts = []
    with FakeAws(cloudwatch=account.metrics) as fake:
        document = yaml.safe_load((account.folder / "nibai.yaml").read_text(encoding="utf-8"))
        document["cloudwatch"][0]["endpoint_url"] = fake.url
        config = Config.model_validate(document)
        read = collect(
            config,
            configured(config),
            clock=lambda: NOW,
            tick=lambda _source, part: parts.append(part),
            stop=lambda: bool(parts),
        )
        assert len(list(read)) == 1
    assert [part.settled for part in parts] == [False] * 4 + [True], "the unit, then four calls"
    assert sum(p.dollars for p in parts) == pytest.approx(account.metrics.billed_metrics * 1e-5)
    state = open_state(config.state_address)
    mark = watermarks(state, ENDPOINT)["model_latency"]
    assert mark.read_until == max(part.window.end for part in parts[1:]), "and no minute later"
    state.close()
    account.nibai("collect", "--once")
    minutes = sorted(account.truth)
    assert account.histogram(minutes[0], minutes[-1] + 1).n.sum() == 50 * MINUTES


def test_the_change_is_audited_from_trimmed_counts(finely_read):
    account = finely_read
    moved = sorted(account.truth)[MINUTES // 2] * 60
    declared = account.nibai(
        "changes", "declare", "--endpoint", ENDPOINT, "--kind", "instance_type",
        "--at", str(moved), "--claim", "model_latency 1.5x faster at p50",
    )  # fmt: skip
    assert declared.exit_code == 0, declared.output
    audit = account.nibai("audit", declared.stdout.strip(), "--format", "json")
    assert audit.stdout, audit.output
    estimate = json.loads(audit.stdout)["claims"][0]["estimate"]
    raw = [
        np.concatenate([v for m, v in account.truth.items() if (m * 60 < moved) == before])
        for before in (True, False)
    ]
    assert estimate["value"] == pytest.approx(
        np.quantile(raw[0], 0.5) / np.quantile(raw[1], 0.5), rel=0.01
    )
    assert estimate["low"] < SPEEDUP < estimate["high"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dollars_per_month": 0.001}, "even base statistics of 1 series cost $0.03 a month"),
        ({"metrics": ["Latency"]}, "metric 'Latency' is not known; there are ModelLatency"),
        ({"account": "12"}, "cloudwatch[0].account"),
        ({"detail": "all"}, "cloudwatch[0].detail"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_in_words(account, settings, said):
    result = account.nibai("collect", "--once", **settings)
    assert result.exit_code == 2
    assert said in result.output
    assert account.metrics.requests == 0


def test_a_budget_buys_less_detail(account):
    result = account.nibai("collect", "--dry-run", detail="TC 109", dollars_per_month=0.13)
    assert "1 series, TC 55, read every 60 minutes" in result.output


def test_no_source_is_said_with_the_remedy(tmp_path):
    path = tmp_path / "nibai.yaml"
    path.write_text(f"data: {tmp_path}\n", encoding="utf-8")
    result = Result(["collect", "--once", "--config", str(path)])
    assert result.exit_code == 2
    assert "add `cloudwatch` with account, region and endpoints" in result.output


def test_progress_is_kept_under_a_name_that_does_not_depend_on_the_place_in_the_file():
    regions = [
        {"account": "123456789012", "region": region, "endpoints": {"chat": ["blue"]}}
        for region in ("eu-west-1", "us-east-1")
    ]
    names = [
        {one.name for one in configured(Config.model_validate({"cloudwatch": order}))}
        for order in (regions, regions[::-1])
    ]
    assert names[0] == names[1]
    assert len(names[0]) == 2


def test_an_audit_says_that_its_source_was_not_read(tmp_path):
    state = open_state(str(tmp_path / "state.sqlite"))
    series = "AWS/SageMaker/ModelLatency/EndpointName=chat,VariantName=blue"
    state.set_read_until("cloudwatch-123456789012-eu-west-1", {series: NOW - 5 * 3600})
    change = Change("chg", ENDPOINT)
    (note,) = unread_notes(state, change, NOW)
    assert note == (
        f"no data since {iso(NOW - 5 * 3600)}: cloudwatch-123456789012-eu-west-1 was last read "
        "until then; what was judged ends there (nibai collect --once says why)"
    )
    assert unread_notes(state, change, NOW - 2 * 3600) == ()
    component = cadence.name(variant_series(PUBLISHED[0], "1.r", "llm", "ic:llama"))
    state.set_read_until("cloudwatch-123456789012-eu-west-1", {component: NOW - 6 * 3600})
    other = Change("chg", ENDPOINT.replace("chat", "llm"))
    assert len(unread_notes(state, other, NOW)) == 1, "components are their endpoint's"
    bedrock = Model("bedrock/123456789012.us-east-1/chat", "m")
    read = {cadence.name(latency_series(bedrock)): NOW - 6 * 3600}
    state.set_read_until("bedrock-123456789012-us-east-1", read)
    assert len(unread_notes(state, Change("chg", bedrock.endpoint), NOW)) == 1
    same_name = Change("chg", "sagemaker/123456789012.us-east-1/chat")
    assert unread_notes(state, same_name, NOW) == ()
    assert unread_notes(state, Change("chg", f"{ENDPOINT}-2"), NOW) == ()
    assert unread_notes(state, Change("chg", "onprem"), NOW) == ()
    state.close()


class EnoughError(Exception):
    """The loop went on for long enough."""


@pytest.mark.parametrize(("read_at", "times"), [(None, 3), (NOW - 600, 2)])
def test_a_source_is_read_at_its_own_pace_also_after_a_restart(
    monkeypatch, tmp_path, read_at, times
):
    clock, asked = [NOW], []
    sources = [
        Source(name, SimpleNamespace(series=(name,)), every, every)
        for name, every in (("quick", 60.0), ("dear", 3600.0))
    ]
    if read_at is not None:
        state = open_state(tmp_path / "state.sqlite")
        state.set_read_until("dear", {"dear": read_at})
        state.close()

    def sleep(seconds):
        clock[0] += seconds
        if clock[0] > NOW + 7300:
            raise EnoughError

    def read(_config, ready, _planned):
        asked.extend(one.name for one in ready)
        return []

    monkeypatch.setattr("time.time", lambda: clock[0])
    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("nibai.app.collect.configured", lambda _: sources)
    monkeypatch.setattr("nibai.app.collect.previews", lambda _config, _sources: [])
    monkeypatch.setattr("nibai.cli.collect._read", read)
    path = tmp_path / "nibai.yaml"
    path.write_text(f"data: {tmp_path}\nstate: {tmp_path}/state.sqlite", encoding="utf-8")
    with pytest.raises(EnoughError):
        command.callback(once=False, dry_run=False, config_file=str(path), data=None)
    assert asked.count("dear") == times
    assert 115 <= asked.count("quick") <= 123


def test_a_unit_that_is_not_the_documented_one_stops_the_metric_until_it_is_right(account):
    account.metrics.units["ModelLatency"] = "Milliseconds"
    result = account.nibai("collect", "--once", detail="percentiles")
    assert result.exit_code == 5
    assert "0 minutes read in 1 calls, 0 new, 0 revised, metered $0.0000\n" in result.output
    assert "CloudWatch says Milliseconds where nibai reads Microseconds" in result.output
    account.metrics.units["ModelLatency"] = "Microseconds"
    assert account.nibai("collect", "--once", detail="percentiles").exit_code == 0
    assert account.nibai("collect", "--once", detail="percentiles").exit_code == 0
    assert account.metrics.unit_requests == ["ModelLatency"] * 2, "what is known is not asked again"
