"""Every kind of change that SageMaker can show, each on an endpoint of its own of one account.

`Case.deploy` begins at the fake's present time. `factor` is what the change makes of every
request's time.
"""

from dataclasses import dataclass

import yaml
from fakeaws.sagemaker import ai_recommendation, at, recommender, variant

from support.aws_world import DAY, PLACE
from support.sagemaker import NOW

FASTER = 1 / 1.7
HOURS = 6
DEPLOYMENT_SECONDS = 1200
TRUE, FALSE = 1.3, 2.5
"""What is claimed of every change: most keep the first, none the second."""

ROLLED_BACK, SCALED = ("undone", "blue"), ("scaled", "blue")
BYSTANDERS = (ROLLED_BACK, SCALED)
"""Endpoints that no optimization changes: a canary that is taken back, more instances."""


@dataclass(frozen=True)
class Case:
    """An endpoint: how it is made and deployed, and what nibai has to find out."""

    name: str
    make: object
    deploy: object
    kinds: tuple[str, ...]
    factor: float = FASTER
    unit: str = "blue"
    after: str | None = None
    """Another unit whose requests are the new ones (`unit` serves on beside it)."""
    said: str = ""
    told: str = "start told by SageMaker"
    promised: tuple[tuple[str, str], ...] = ()
    """AWS's own figures as claims, and their verdicts."""

    @property
    def units(self):
        return (self.unit, self.after or self.unit)


def served(name, **more):
    """An endpoint of one variant with a model of its own."""

    def make(aws):
        aws.config(f"{name}-1", variant("blue", aws.model(f"{name}-m1"), **more))
        aws.endpoint(name, f"{name}-1")

    return make


def moved(name, model=None, **more):
    """Another configuration of the same endpoint begins to be deployed."""

    def deploy(aws):
        made = f"{name}-m1" if model is None else model(aws)
        aws.config(f"{name}-2", variant("blue", made, **more))
        aws.begin(name, f"{name}-2")

    return deploy


def _quantized(aws):
    aws.optimization(
        "quantize-llama",
        [{"ModelQuantizationConfig": {"OverrideEnvironment": {"OPTION_QUANTIZE": "fp8"}}}],
        source={"SageMakerModel": {"ModelName": "quantized-m1"}},
        output={"S3OutputLocation": "s3://models/fp8/",
                "SageMakerModel": {"ModelName": "quantized-m2"}},
    )  # fmt: skip
    return aws.model("quantized-m2", url="s3://models/fp8/")


def _env(aws):
    return aws.model("env-m2", env={"OMP_NUM_THREADS": "8"})


def _compiled(aws):
    return aws.model("compiled-m2", env={"OPTION_ENFORCE_EAGER": "false"})


def _draft(aws):
    source = {"S3Uri": "s3://models/draft/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    draft = [{"ChannelName": "draft", "S3DataSource": source}]
    return aws.model("draft-m2", AdditionalModelDataSources=draft)


def _weights(aws):
    return aws.model("weights-m2", url="s3://models/distilled/")


def _latest(aws):
    aws.config("image-1", variant("blue", aws.model("image-m1", image="repo/latest:1")))
    aws.endpoint("image", "image-1")


def _push_image(aws):
    aws.digests["repo/latest:1"] = "1" * 64
    aws.begin("image", "image-1")


def _holding(aws):
    aws.config("parts-1", variant("all"))
    aws.endpoint("parts", "parts-1")
    aws.component("llama", "parts", Container={"ArtifactUrl": "s3://models/llama/", "Environment": {
        "OPTION_DTYPE": "fp16"}})  # fmt: skip


def _update_component(aws):
    aws.component("llama", "parts", Container={"ArtifactUrl": "s3://models/llama/", "Environment": {
        "OPTION_DTYPE": "fp8"}})  # fmt: skip
    aws.components["llama"]["InferenceComponentStatus"] = "Updating"


def _recommended(aws):
    """Inference Recommender measured both types: too hopeful about time, right about money."""
    served("instance")(aws)
    aws.recommendations["r1"] = recommender("r1", "instance-m1", {"ml.g5.xlarge": (50, 0.0036),
                                                   "ml.g6.xlarge": (20, 0.003)})  # fmt: skip


def _advised(aws):
    """AI recommendations about this model's weights, and about other ones."""
    aws.config("canary-1", variant("blue", aws.model("canary-m1", url="s3://models/canary/")))
    aws.endpoint("canary", "canary-1")
    for name, source, ttft in (("own", "s3://models/canary/", 60), ("other", "s3://others/", 10)):
        aws.advice[name] = ai_recommendation(
            name, source, {"ml.g5.xlarge": 120, "ml.g6.xlarge": ttft}
        )


WEIGHTS = "models", "rewritten.tar.gz"


def _rewritten(aws):
    """Weights that are written again behind their address, and then deployed."""
    aws.s3.put(*WEIGHTS, b"fp16", aws.now)
    model = aws.model("rewritten-m1", url="s3://models/rewritten.tar.gz")
    aws.config("rewritten-1", variant("blue", model))
    aws.endpoint("rewritten", "rewritten-1")


def _rewrite(aws):
    aws.s3.put(*WEIGHTS, b"fp8", aws.now)
    aws.begin("rewritten", "rewritten-1")


def _canary(aws):
    aws.config("canary-2", variant("blue", "canary-m1", kind="ml.g6.xlarge"))
    aws.begin("canary", "canary-2")


def _shadow(aws):
    aws.config(
        "shadowed-2",
        variant("blue", "shadowed-m1"),
        shadow=[variant("dark", aws.model("shadowed-m2"), kind="ml.g6.xlarge", count=1)],
    )
    aws.begin("shadowed", "shadowed-2")


def _asynchronous(aws):
    served("batchy")(aws)
    aws.endpoints["batchy"]["AsyncInferenceConfig"] = {
        "OutputConfig": {"S3OutputPath": "s3://answers/"}
    }


def _memory(size):
    return {
        "kind": None, "ServerlessConfig": {"MemorySizeInMB": size, "MaxConcurrency": 4},
    }  # fmt: skip


AMI = "al2-ami-sagemaker-inference-gpu-"
ROUTED = {"RoutingStrategy": "RANDOM"}, {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}

CASES = (
    Case("instance", _recommended, moved("instance", kind="ml.g6.xlarge"),
         ("instance_type",), said="ml.g5.xlarge -> ml.g6.xlarge",
         promised=(("model_latency 2.5x faster at p50", "refuted"),
                   ("1.2x cheaper", "confirmed"))),
    Case("rewritten", _rewritten, _rewrite, ("weights",),
         said="contents of ModelDataUrl etag "),
    Case("quantized", served("quantized"), moved("quantized", _quantized),
         ("precision",), said="optimization job quantize-llama: precision (fp8)"),
    Case("image", _latest, _push_image, ("container",),
         said="sha256:00000000 -> latest@sha256:11111111"),
    Case("parts", _holding, _update_component, ("precision",), unit="ic:llama",
         said="OPTION_DTYPE fp16 -> fp8", told="start known only as after"),
    Case("canary", _advised, _canary, ("instance_type",), said="ml.g6.xlarge",
         promised=(("ttft 2x faster at p50", "inconclusive"),)),
    Case("shadowed", served("shadowed"), _shadow, ("instance_type",), after="dark",
         said="ml.g5.xlarge -> ml.g6.xlarge", told=""),
    Case("serverless", served("serverless", **_memory(2048)),
         moved("serverless", **_memory(6144)), ("serverless_memory",), said="2048 -> 6144"),
    Case("batchy", _asynchronous, moved("batchy", kind="ml.g6.xlarge"), ("instance_type",)),
    Case("routed", served("routed", RoutingConfig=ROUTED[0]),
         moved("routed", RoutingConfig=ROUTED[1]), ("routing",), factor=1.0,
         said="RANDOM -> LEAST_OUTSTANDING_REQUESTS"),
    Case("env", served("env"), moved("env", _env), ("env",), factor=1.25,
         said="OMP_NUM_THREADS (none) -> sha256:"),
    Case("driver", served("driver", InferenceAmiVersion=f"{AMI}2"),
         moved("driver", InferenceAmiVersion=f"{AMI}2-1"), ("driver",), factor=1 / 1.1,
         said="InferenceAmiVersion"),
    Case("compiled", served("compiled"), moved("compiled", _compiled), ("compilation",),
         said="OPTION_ENFORCE_EAGER"),
    Case("draft", served("draft"), moved("draft", _draft), ("speculative_decoding",)),
    Case("weights", served("weights"), moved("weights", _weights), ("weights",),
         said="s3://models/base/ -> s3://models/distilled/"),
    Case("several", served("several"),
         moved("several", kind="ml.g6.xlarge", InferenceAmiVersion=f"{AMI}2-1"),
         ("instance_type", "driver"), said="confounded: instance_type, driver"),
)  # fmt: skip


def configuration(endpoints, detail, quantiles):
    """nibai.yaml for endpoints and their units."""
    claims = [f"model_latency {ratio}x faster at {quantiles}" for ratio in (TRUE, FALSE)]
    return {
        "cloudwatch": [{**PLACE, "endpoints": endpoints, "metrics": ["ModelLatency"],
                        "errors": False, "detail": detail}],
        "sagemaker": [{**PLACE, "claims": claims}],
        "cost": {"instance_types": {"ml.g5.xlarge": 1.6, "ml.g6.xlarge": 1.2}},
    }  # fmt: skip


def lived(world, cases, bystanders, *, detail, quantiles, every=1):
    """Six hours, a day later a deployment everywhere, six hours more, and what nibai found of it.

    All are deployed at once, so that both windows of every audit are the same hours. There is
    traffic in one minute of `every`.
    """
    aws = world.aws
    units = {case.name: list(dict.fromkeys(case.units)) for case in cases}
    units |= {name: [unit] for name, unit in bystanders}
    document = yaml.safe_dump(configuration(units, detail, quantiles))
    (world.folder / "nibai.yaml").write_text(document, encoding="utf-8")
    for case in cases:
        case.make(aws)
    for name, _ in bystanders:
        served(name)(aws)
    before = {(case.name, case.unit): 1.0 for case in cases} | dict.fromkeys(bystanders, 1.0)
    aws.now = NOW - DEPLOYMENT_SECONDS
    world.nibai("changes", "discover", "--once")
    world.read_until(units, aws.now)
    world.minutes(HOURS * 60 + DEPLOYMENT_SECONDS // 60, before, every)
    aws.now = NOW + DAY - DEPLOYMENT_SECONDS
    world.nibai("changes", "discover", "--once")
    world.began = aws.now
    for case in cases:
        case.deploy(aws)
    if ROLLED_BACK in bystanders:
        aws.config("undone-2", variant("blue", "undone-m1", kind="ml.g6.xlarge"))
        aws.begin("undone", "undone-2")
    if SCALED in bystanders:
        aws.scale("scaled", 4)
    # Both fleets answer; the old one is overloaded while it is drained.
    moving = dict.fromkeys(before, (6.0, 0.5))
    world.minutes(DEPLOYMENT_SECONDS // 120, moving, every)
    world.nibai("changes", "discover", "--once")
    world.minutes(DEPLOYMENT_SECONDS // 120, moving, every)
    for case in cases:
        if "PendingDeploymentSummary" in aws.endpoints[case.name]:
            aws.finish(case.name)
    for component in aws.components.values():
        component |= {"InferenceComponentStatus": "InService", "LastModifiedTime": at(aws.now)}
    if ROLLED_BACK in bystanders:
        aws.roll_back("undone")
    world.over = aws.now
    world.discovered = world.nibai("changes", "discover", "--once")
    after = {(case.name, case.units[1]): case.factor for case in cases}
    beside = {(case.name, case.unit): 1.0 for case in cases if case.after}
    after |= beside | dict.fromkeys(bystanders, 1.0)
    world.minutes(HOURS * 60 + every, after, every)
    world.wait(240)
    world.collected = world.nibai("collect", "--once")
    world.known = world.changes()
    return world
