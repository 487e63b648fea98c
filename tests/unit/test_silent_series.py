"""Series that never gave anything are told once, with what there is in their place."""

import numpy as np
import pytest
from fakeaws.metrics import Faults, Metrics, ServiceError
from fakeaws.promql import Promql
from fakeaws.server import FakeAws

from collector.cloudwatch.names import said
from collector.cloudwatch.series import PUBLISHED, by_type_series, variant_series
from nibai.app.collect import collect, configured
from nibai.app.onwatch.sources import SourceThreads
from nibai.app.onwatch.standing import Board
from nibai.app.onwatch.tally import Tally
from nibai.cli.collect import _some
from nibai.config import Config
from nibai.protocols.discovery import Deployment
from nibai.store.state.database import open_state
from nibai.store.state.deployments import Deployments
from nibai.store.state.silent import silent_series

NOW = 1_764_000_000.0 // 3600 * 3600 + 180
DAY = 86_400.0
SCOPE = "123456789012.eu-west-1"
CHAT = f"sagemaker/{SCOPE}/chat"
LATENCY, OVERHEAD = PUBLISHED[:2]
UNLESS = "correct it in nibai.yaml, unless it had no requests so far"


class Account:
    """`chat` with two variants that publish ModelLatency; read as `nibai collect --once` does."""

    def __init__(self, folder, monkeypatch):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
        self.folder, self.metrics = folder, Metrics(NOW)
        for variant in ("blue", "green"):
            series = variant_series(LATENCY, SCOPE, "chat", variant)
            for minute in range(int(NOW // 60) - 300, int(NOW // 60) - 290):
                self.metrics.publish(
                    "AWS/SageMaker", "ModelLatency", series.dimensions, minute, np.full(5, 1e5)
                )

    def read(self, endpoints, now=NOW, metrics=("ModelLatency",), **more):
        """What was said of silent series, and how many there are."""
        monkey = pytest.MonkeyPatch()
        monkey.setattr("time.time", lambda: now)
        monkey.setattr("time.sleep", lambda _: None)
        self.metrics.now = now
        with FakeAws(cloudwatch=self.metrics) as fake:
            section = {
                "account": "123456789012", "region": "eu-west-1", "endpoints": endpoints,
                "metrics": list(metrics), "detail": "TC 28", "endpoint_url": fake.url,
                "own_range": False, "errors": False, **more,
            }  # fmt: skip
            document = {"data": str(self.folder / "data"), "cloudwatch": [section]}
            self.config = Config.model_validate(document)
            ((_, done),) = collect(self.config, configured(self.config), clock=lambda: now)
        monkey.undo()
        assert not done.problems
        assert done.dollars == pytest.approx(
            self.metrics.billed_metrics * 1e-5 + self.metrics.list_requests * 1e-5
        )
        self.metrics.billed_metrics = self.metrics.list_requests = 0
        return done.silent, done.notes.get("series that never gave anything", 0)


@pytest.fixture
def account(tmp_path, monkeypatch):
    return Account(tmp_path, monkeypatch)


def test_mistyped_names_are_told_once_with_what_there_is(account):
    wrong = {"chat": ["blue", "gren"], "chta": ["blue"]}
    told, number = account.read(wrong)
    assert sorted(told) == [
        (
            f"{CHAT} gren: never gave any model_latency: CloudWatch lists no variant 'gren' in two "
            f"weeks, but green, blue: did you mean green; {UNLESS}"
        ),
        (
            f"sagemaker/{SCOPE}/chta blue: never gave any model_latency: CloudWatch lists no "
            f"endpoint 'chta' in two weeks, but chat: did you mean chat; {UNLESS}"
        ),
    ]
    assert number == 2
    assert account.read(wrong, NOW + 3600) == ([], 2), "told once, and counted"
    assert account.read({"chat": ["blue", "green"]}, NOW + 7200) == ([], 0)


def test_one_mistyped_instance_type_among_others_is_told(account):
    typed = by_type_series(LATENCY, SCOPE, "chat", "blue", zone="eu-west-1a", kind="ml.g5.xlarge")
    minute = int(NOW // 60) - 300
    account.metrics.publish(
        "AWS/SageMaker", "ModelLatency", typed.dimensions, minute, np.full(5, 1e5)
    )
    both = {"chat": ["ml.g5.xlarge/eu-west-1a", "ml.g5.xlarg/eu-west-1a"]}
    told, number = account.read({"chat": ["blue"]}, by_type=both)
    assert told == [
        (
            f"{CHAT} blue: never gave any model_latency_by_type of type=ml.g5.xlarg,az=eu-west-1a: "
            "CloudWatch lists no instance type 'ml.g5.xlarg' in two weeks, but ml.g5.xlarge: did "
            f"you mean ml.g5.xlarge; {UNLESS}"
        )
    ]
    assert number == 1
    assert account.read({"chat": ["blue"]}, NOW + 3600, by_type=both) == ([], 1), "told once"


def test_a_metric_that_is_not_published_is_to_be_left_out(account):
    told, _ = account.read({"chat": ["blue"]}, metrics=("ModelLatency", "OverheadLatency"))
    assert told == [
        (
            f"{CHAT} blue: never gave any overhead_latency: CloudWatch lists no OverheadLatency of "
            "it, but ModelLatency: leave OverheadLatency out under metrics"
        )
    ]


def test_hours_without_requests_are_no_silence(account):
    account.read({"chat": ["blue"]})
    for values in account.metrics.values.values():
        values.clear()
    assert account.read({"chat": ["blue"]}, NOW + 3600) == ([], 0)
    # Not even where the minutes are gone: hours stay.
    assert account.read({"chat": ["blue"]}, NOW + DAY) == ([], 0)


def test_what_discovery_saw_exists_and_had_no_requests(account):
    account.read({"chat": ["blue"]})
    state = open_state(account.config.state_address)
    units = [{"name": "blue"}, {"name": "canary"}]
    seen = Deployment(CHAT, "f", NOW, NOW, {"units": units})
    assert Deployments(state).keep(None, seen)
    told, number = account.read({"chat": ["blue", "canary"]}, NOW + 3600)
    assert (told, number) == ([], 0)
    told, number = account.read({"chat": ["blue", "canary", "cannary"]}, NOW + 7200)
    assert len(told) == number == 1
    assert "cannary" in told[0]
    state.close()


def test_names_that_must_not_be_listed_are_said_to_be_unknown(account):
    refused = ServiceError(403, "AccessDeniedException", "not authorized")
    account.metrics.faults = Faults(errors={"ListMetrics": refused})
    ((told,), number) = account.read({"chat": ["blue", "gren"]})
    assert number == 1
    assert told.startswith(
        f"{CHAT} gren: never gave any model_latency: there is blue; check endpoint, variant and "
        "metric in nibai.yaml, unless it had no requests so far (names could not be compared: "
    )
    assert "cloudwatch:ListMetrics" in told


def test_lists_of_several_pages_are_read_to_their_end(account):
    account.metrics.listed = 1
    (told,), _ = account.read({"chat": ["gren"]})
    assert "but green, blue: did you mean green" in told


def test_of_very_many_some_are_told():
    assert _some(["a"] * 20) == ["a"] * 20
    assert _some(["a"] * 23)[20:] == ["3 more series never gave anything: see /endpoints"]


def test_silent_series_are_kept_with_their_date_and_counted(account):
    account.read({"chat": ["blue", "gren"]})
    account.read({"chat": ["blue", "gren"]}, NOW + 3600)
    state = open_state(account.config.state_address)
    board = Board(1800.0, NOW)
    SourceThreads(
        account.config, configured(account.config), state, owner="me", board=board, tally=Tally(),
        clock=lambda: NOW,
    )  # fmt: skip
    (reading,) = board.readings().values()
    assert reading.unheard == 1
    (one,) = silent_series(state)
    assert (one.endpoint, one.variant, one.since) == (CHAT, "gren", NOW)
    assert one.source == "cloudwatch-123456789012-eu-west-1"
    state.close()


@pytest.mark.parametrize(
    ("series", "listed", "text"),
    [
        (variant_series(LATENCY, SCOPE, "chat", "ic:lama"),
         [(("InferenceComponentName", "llama"),)],
         "no inference component 'lama' in two weeks, but llama: did you mean llama;"),
        (by_type_series(LATENCY, SCOPE, "chat", "blue", zone="eu-west-1a", kind="ml.g5.xlarg"),
         [(("AvailabilityZone", "eu-west-1a"), ("EndpointName", "chat"),
           ("InstanceType", "ml.g5.xlarge"), ("Region", "eu-west-1"), ("VariantName", "blue"))],
         "no instance type 'ml.g5.xlarg' in two weeks, but ml.g5.xlarge: did you mean"),
        (variant_series(LATENCY, SCOPE, "chat", "blue"), [],
         "CloudWatch lists no endpoint 'chat' in two weeks; correct it"),
        (variant_series(LATENCY, SCOPE, "chat", "blue"),
         [(("EndpointName", "x"), ("VariantName", "y"))],
         "CloudWatch lists no endpoint 'chat' in two weeks, but x; correct it"),
    ],
)  # fmt: skip
def test_whatever_dimension_is_wrong_is_named(series, listed, text):
    assert text in said(series, listed, [])


def test_variants_that_promql_does_not_know_are_told_too(account, monkeypatch):
    times = NOW - 1800 + 60 * np.arange(20.0)
    data = {
        name: [({"EndpointName": "chat", "VariantName": variant}, times, np.full(20, 1e5))
               for variant in ("blue", "green")]
        for name in ("ModelLatency",)
    }  # fmt: skip
    monkeypatch.setattr("time.time", lambda: NOW)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with FakeAws(promql=Promql(data), cloudwatch=account.metrics) as fake:
        section = {
            "account": "123456789012", "region": "eu-west-1", "path": "promql",
            "endpoints": {"chat": ["blue", "gren"], "chta": ["blue"], "x": ["ic:lama"]},
            "metrics": ["ModelLatency"], "endpoint_url": fake.url,
        }  # fmt: skip
        document = {"data": str(account.folder / "data"), "cloudwatch": [section]}
        config = Config.model_validate(document)
        ((_, done),) = collect(config, configured(config), clock=lambda: NOW)
        ((_, again),) = collect(config, configured(config), clock=lambda: NOW)
    assert sorted(done.silent) == [
        (
            f"{CHAT} gren: never gave any model_latency: PromQL knows no variant 'gren' in a week, "
            f"but green, blue: did you mean green; {UNLESS}"
        ),
        (
            f"sagemaker/{SCOPE}/chta blue: never gave any model_latency: PromQL knows no endpoint "
            f"'chta' in a week, but chat: did you mean chat; {UNLESS}"
        ),
    ]
    (problem,) = done.problems
    assert problem.startswith('PromQL: no series ModelLatencyForIc{InferenceComponentName="lama"}')
    assert again.silent == []
