"""Messages of EventBridge, CloudTrail and AWS's own figures: heard once, dated, labelled."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from fakeaws.cloudtrail import CloudTrail
from fakeaws.sagemaker import arn, at, recommender, variant
from fakeaws.server import FakeAws
from fakeaws.sqs import Queue, endpoint_event
from support.sagemaker import NOW, SCOPE, Account

from collector.aws.pace import Spaced
from collector.aws.session import AwsClient
from collector.sagemaker.events import DEPLOYMENT, STATE, signals
from nibai.model import ChangeKind

ROOT = Path(__file__).parents[2]
URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/nibai"


@pytest.fixture(scope="module")
def service():
    with pytest.MonkeyPatch.context() as patch, FakeAws() as fake:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
        clients = {
            name: AwsClient(name, "eu-west-1", endpoint_url=fake.url, tries=1)
            for name in ("sagemaker", "sqs", "cloudtrail")
        }
        yield fake, clients


class Heard(Account):
    """An account with a queue and a trail; waits are counted, nobody sleeps."""

    def __init__(self, fake, clients):
        self.waited = []
        trail = Spaced(clients["cloudtrail"], 0.5, clock=lambda: 0.0, wait=self.waited.append)
        super().__init__(fake, clients["sagemaker"], queue=(clients["sqs"], URL), trail=trail)
        self.queue = fake.backends["sqs"] = Queue()
        self.trail = fake.backends["cloudtrail"] = CloudTrail(NOW + 86_400)


@pytest.fixture
def account(service):
    made = Heard(*service)
    made.aws.config("c1", variant("blue", made.aws.model("m1")))
    made.aws.endpoint("chat", "c1")
    made.look()
    return made


def test_a_message_dates_a_deployment_that_no_look_saw(account):
    account.aws.config("c2", variant("blue", "m1", kind="ml.g6.xlarge"))
    account.aws.now += 40
    began = account.aws.now
    account.queue.put(endpoint_event("chat", "UPDATING", began))
    account.queue.put(endpoint_event("chat", "UPDATING", began + 9, pending={"blue": "Baking"}))
    account.aws.update("chat", "c2")
    account.queue.put(endpoint_event("chat", "IN_SERVICE", account.aws.now))
    [change] = account.changes()
    assert (change.started_at, change.effective_at) == (began, account.aws.now - 60)
    assert change.evidence["dated"].startswith("start told by EventBridge;")
    heard = [text for key, text in change.evidence.items() if key.startswith("signal")]
    assert [text.rpartition("Z: ")[2] for text in heard] == [
        "UPDATING", "UPDATING, blue Baking", "IN_SERVICE",
    ]  # fmt: skip
    assert account.queue.messages == {}


def test_messages_are_deleted_only_when_what_they_said_is_kept(account):
    account.queue.put(endpoint_event("chat", "UPDATING", account.aws.now))
    list(account.source.discover(account.known))  # killed before anything is kept
    account.queue.appear_again()
    assert len(account.queue.messages) == 1
    account.look()
    assert account.queue.messages == {}
    assert account.known[f"{SCOPE}chat"].underway["signals"][0]["text"] == "UPDATING"


def test_a_message_before_its_deployment_is_seen_is_kept_for_it(account):
    began = account.aws.now
    account.queue.put(endpoint_event("chat", "UPDATING", began))
    account.look()
    account.aws.config("c2", variant("blue", "m1", kind="ml.g6.xlarge"))
    account.aws.update("chat", "c2")
    [change] = account.changes()
    assert change.started_at == began


@pytest.mark.parametrize(
    "body",
    ["", "no JSON", "[]", '{"detail-type": "Other", "time": "1", "detail": {}}',
     '{"detail-type": "SageMaker Endpoint State Change", "time": "x", "detail": {}}'],
)  # fmt: skip
def test_messages_about_something_else_say_nothing(body):
    assert signals(body) == []


def test_a_queue_that_may_not_be_read_is_named_and_stops_nothing(account):
    account.queue.denied = {"ReceiveMessage"}
    assert len(account.look()) == 1
    [problem] = account.source.problems
    assert problem == (
        "sqs:ReceiveMessage is refused: messages of EventBridge are not read; allow it"
    )


def test_cloudtrail_says_who_deployed_and_when(account):
    account.aws.config("c2", variant("blue", "m1", kind="ml.g6.xlarge"))
    account.aws.now += 25
    began = account.aws.now
    account.trail.record("UpdateEndpoint", began, {"endpointName": "chat"})
    account.trail.record("UpdateEndpoint", began, {"endpointName": "other"})
    account.trail.record("UpdateEndpoint", began - 1, {"endpointName": "chat"}, errorCode="Denied")
    account.aws.update("chat", "c2")
    [change] = account.changes()
    assert change.started_at == began
    assert change.evidence["signal 1"].endswith(
        "UpdateEndpoint by arn:aws:iam::123456789012:user/ada"
    )
    assert "signal 2" not in change.evidence
    assert account.trail.calls == 1


def test_cloudtrail_is_asked_at_its_pace_and_once_a_look(account):
    for number in range(120):
        account.trail.record("UpdateEndpoint", account.aws.now + number / 10, {"endpointName": "x"})
    account.aws.config("c2", variant("blue", "m1", kind="ml.g6.xlarge"))
    account.aws.update("chat", "c2")
    account.look()
    assert account.trail.calls == 3, "pages of fifty"
    assert account.waited == [0.0, 0.5, 0.5]


def test_the_past_is_rebuilt_from_cloudtrail_even_of_what_was_deleted(service):
    account = Heard(*service)
    aws, trail = account.aws, account.trail
    day = NOW - 30 * 86_400
    aws.model("m2", env={"OPTION_QUANTIZE": "fp8"})
    for number, (config, kind, model) in enumerate(
        [("a", "ml.g5.xlarge", "m1"), ("b", "ml.g6.xlarge", "m1"), ("c", "ml.g6.xlarge", "m2")]
    ):
        made = day + number * 86_400
        request = [{"variantName": "blue", "modelName": model, "instanceType": kind}]
        trail.record(
            "CreateEndpointConfig",
            made,
            {"endpointConfigName": config, "productionVariants": request},
        )
        name = "UpdateEndpoint" if number else "CreateEndpoint"
        trail.record(name, made + 60, {"endpointName": "chat", "endpointConfigName": config})
    container = {"image": "repo/vllm:1", "modelDataUrl": "s3://models/base/", "environment": {}}
    trail.record("CreateModel", day - 60, {"modelName": "m1", "primaryContainer": container})
    aws.config("c", variant("blue", "m2", kind="ml.g6.xlarge"))
    aws.endpoint("chat", "c")
    [sighting] = account.look(since=day - 86_400)
    assert [change.kinds for change in sighting.changes] == [
        (ChangeKind.INSTANCE_TYPE,), (ChangeKind.PRECISION,),
    ]  # fmt: skip
    assert [change.started_at for change in sighting.changes] == [
        day + 86_460, day + 2 * 86_400 + 60,
    ]  # fmt: skip
    assert len(sighting.past) == 3
    assert "end assumed an hour later" in sighting.changes[0].evidence["dated"]


def test_awss_own_figures_become_claims_labelled_as_awss(account):
    figures = {"ml.g5.xlarge": (50, 0.002), "ml.g6.xlarge": (20, 0.003)}
    account.aws.recommendations["r1"] = recommender("r1", "m1", figures)
    account.aws.recommendations["r2"] = recommender("r2", "m2", figures)
    account.aws.benchmarks["bench"] = {
        "AIBenchmarkJobName": "bench", "AIBenchmarkJobArn": arn("ai-benchmark-job", "bench"),
        "AIBenchmarkJobStatus": "Completed", "CreationTime": at(NOW),
        "BenchmarkTarget": {"Endpoint": {"Identifier": "chat"}},
        "OutputConfig": {"S3OutputLocation": "s3://bench/out"},
        "AIWorkloadConfigIdentifier": "w", "RoleArn": arn("role", "somebody-who-benchmarks"),
    }  # fmt: skip
    account.aws.config("c2", variant("blue", "m1", kind="ml.g6.xlarge"))
    account.aws.update("chat", "c2")
    [change] = account.changes()
    assert [sentence.text for sentence in change.sentences] == ["model_latency 2.5x faster at p50"]
    figures = [text for key, text in change.evidence.items() if key.startswith("AWS's figure")]
    unasked = "weights: false asks nothing of S3"
    cost = "CostPerInference 0.002 $ on ml.g5.xlarge, 0.003 $ on ml.g6.xlarge"
    assert figures == [
        "Inference Recommender job r1: ModelLatency 50 ms on ml.g5.xlarge, 20 ms on ml.g6.xlarge",
        f"Inference Recommender job r1: {cost}",
        f"AI benchmark job bench: figures in s3://bench/out, not read: {unasked}",
    ]


def test_the_template_asks_for_the_messages_that_are_read():
    text = (ROOT / "deploy" / "aws" / "nibai-events.yaml").read_text(encoding="utf-8")
    rule = yaml.safe_load(text)["Resources"]["Rule"]["Properties"]["EventPattern"]
    assert rule == {"source": ["aws.sagemaker"], "detail-type": [STATE, DEPLOYMENT]}


def test_a_message_about_an_endpoint_that_could_not_be_read_comes_again(account):
    began = account.aws.now
    account.queue.put(endpoint_event("chat", "UPDATING", began))
    account.aws.config("c2", variant("blue", "m1", kind="ml.g6.xlarge"))
    account.aws.update("chat", "c2")
    account.aws.throttled = {"DescribeEndpoint"}
    assert account.changes() == []
    account.aws.throttled = set()
    account.queue.appear_again()
    [change] = account.changes()
    assert change.started_at == began
    assert account.queue.messages == {}


@pytest.mark.parametrize(
    "detail",
    [
        {"PendingDeploymentSummary": "soon"},
        {"PendingDeploymentSummary": {"ProductionVariants": None}},
        {"PendingDeploymentSummary": {"ProductionVariants": [{"VariantStatus": "Baking"}]}},
        {"PendingDeploymentSummary": {"ProductionVariants": [{"VariantStatus": None}]}},
        {"EndpointStatus": None},
        {"EndpointStatus": ["UPDATING"]},
    ],
)
def test_a_message_of_another_shape_dates_what_it_can_and_is_not_read_for_ever(detail):
    event = {
        "detail-type": STATE, "time": "2026-03-01T12:00:00Z",
        "detail": {"EndpointName": "chat", **detail},
    }  # fmt: skip
    assert [one.endpoint for one in signals(json.dumps(event))] in (["chat"], [])


# -- messages as queues deliver them -------------------------------------------------------------


class Post:
    """What EventBridge and SQS do to messages: lost, delivered again, late and in any order."""

    def __init__(self, queue, rng):
        self.queue, self.rng = queue, rng
        self.underway, self.heard = [], set()

    def send(self, event, at):
        if self.rng.random() < 0.3:
            return
        for _ in range(1 + int(self.rng.random() < 0.4)):
            self.underway.append((at + self.rng.uniform(0, 900), at, event))

    def deliver(self, now):
        """Put what has arrived into the queue, in the order of its arrival."""
        arrived = sorted((one for one in self.underway if one[0] <= now), key=lambda one: one[0])
        self.underway = [one for one in self.underway if one[0] > now]
        for _, sent, event in arrived:
            self.queue.put(event)
            if event["detail"]["EndpointStatus"] == "UPDATING":
                self.heard.add(sent)


@pytest.mark.parametrize("seed", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in (1, 2, 3))])
def test_lost_repeated_late_and_disordered_messages_change_no_change(service, seed):
    """Whoever polls only finds the same changes; messages that came in time date their start."""
    rng, account = np.random.default_rng(seed), Heard(*service)
    aws, kinds = account.aws, ("ml.g5.xlarge", "ml.g6.xlarge", "ml.p4d.24xlarge", "ml.g5.2xlarge")
    aws.config("c0", variant("blue", aws.model("m1"), kind=kinds[0]))
    aws.endpoint("chat", "c0")
    post, polled = Post(account.queue, rng), Account(service[0], service[1]["sagemaker"])
    service[0].backends["sagemaker"] = polled.aws = aws
    found, alone, begun, timely = [], [], [], []

    def looked():
        post.deliver(aws.now + 60)
        new = account.changes()
        found.extend(new)
        alone.extend(polled.changes(after=0.0))
        timely.extend(begun[len(timely)] in post.heard for _ in new)

    looked()
    for number, kind in enumerate(kinds[1:], 1):
        for _ in range(int(rng.integers(2, 15))):
            looked()
        aws.now += rng.uniform(0, 60)
        aws.config(f"c{number}", variant("blue", "m1", kind=kind))
        aws.begin("chat", f"c{number}")
        begun.append(aws.now)
        post.send(endpoint_event("chat", "UPDATING", aws.now), aws.now)
        for _ in range(int(rng.integers(0, 4))):
            looked()
        aws.now += 400.0
        aws.finish("chat")
        post.send(endpoint_event("chat", "IN_SERVICE", aws.now), aws.now)
    for _ in range(30):
        looked()
    told = [[(one.kinds, one.description, one.effective_at) for one in s] for s in (found, alone)]
    assert told[0] == told[1]
    assert len(found) == 3
    for one, other, began, heard in zip(found, alone, begun, timely, strict=True):
        assert one.started_at == pytest.approx(began if heard else other.started_at, abs=0.001)
        assert other.started_at <= began + 0.001
    assert account.queue.messages == {}


def test_a_message_that_comes_after_its_change_was_seen_dates_no_other(account):
    """The endpoint is deployed twice within ten minutes; of the first the message is late."""
    first = account.aws.now + 10
    for number, kind in enumerate(("ml.g6.xlarge", "ml.p4d.24xlarge"), 2):
        account.aws.config(f"c{number}", variant("blue", "m1", kind=kind))
        account.aws.now += 10
        account.aws.update("chat", f"c{number}", 60.0)
        if number == 3:
            account.queue.put(endpoint_event("chat", "UPDATING", first))
        [change] = account.changes(after=200.0)
    assert change.started_at > first + 60


def test_cloudtrail_rebuilds_what_polling_saw(service):
    """Three deployments: one account looked all the time, another one looks at the end."""
    account, late = Heard(*service), Heard(*service)
    service[0].backends["sagemaker"] = late.aws = account.aws
    service[0].backends["cloudtrail"] = late.trail = account.trail
    aws, trail, seen = account.aws, account.trail, []
    aws.model("m2", env={"OPTION_QUANTIZE": "fp8"})
    container = {"image": "repo/vllm:1", "modelDataUrl": "s3://models/base/"}
    for name, env in (("m1", {}), ("m2", {"OPTION_QUANTIZE": "fp8"})):
        trail.record("CreateModel", aws.now - 60, {
            "modelName": name, "primaryContainer": {**container, "environment": env}})  # fmt: skip
    aws.model("m1")
    for number, (kind, model) in enumerate(
        (("ml.g5.xlarge", "m1"), ("ml.g6.xlarge", "m1"), ("ml.g6.xlarge", "m2")),
    ):
        aws.now += 3600
        aws.config(f"c{number}", variant("blue", model, kind=kind))
        variants = [{"variantName": "blue", "modelName": model, "instanceType": kind}]
        trail.record("CreateEndpointConfig", aws.now, {
            "endpointConfigName": f"c{number}", "productionVariants": variants})  # fmt: skip
        call = "UpdateEndpoint" if number else "CreateEndpoint"
        trail.record(call, aws.now, {
            "endpointName": "chat", "endpointConfigName": f"c{number}"})  # fmt: skip
        # Refused or about another endpoint: no deployment.
        trail.record(call, aws.now + 1, {"endpointName": "chat", "endpointConfigName": "no"},
                     errorCode="ValidationException")  # fmt: skip
        if number:
            aws.update("chat", f"c{number}")
        else:
            aws.endpoint("chat", "c0")
        seen += account.changes()
    [sighting] = late.look(since=NOW - 3600)
    rebuilt = sighting.changes
    assert [one.kinds for one in rebuilt] == [one.kinds for one in seen]
    assert [one.started_at for one in rebuilt] == [one.started_at for one in seen]
    assert sighting.deployment.fingerprint == account.known[f"{SCOPE}chat"].fingerprint
    for one, other in zip(rebuilt, seen, strict=True):
        assert one.description.split(" (")[0] == other.description.split(" (")[0]
