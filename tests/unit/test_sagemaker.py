"""Every step of a scripted SageMaker account is discovered, dated and told as what it is."""

from itertools import count

import pytest
from fakeaws.metrics import ServiceError
from fakeaws.sagemaker import at, variant
from fakeaws.server import FakeAws
from support.sagemaker import NOW, SCOPE, Account

from collector.aws.session import AwsClient
from collector.sagemaker.describe import Describer
from nibai.errors import AuthError
from nibai.model import ChangeKind, Window
from nibai.stats.flip_margins import default_margins

K = ChangeKind


@pytest.fixture(scope="module")
def service():
    """One server and one client for the module: making a client reads megabytes of models."""
    with pytest.MonkeyPatch.context() as patch, FakeAws() as fake:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
        yield fake, AwsClient("sagemaker", "eu-west-1", endpoint_url=fake.url, tries=1)


@pytest.fixture
def account(service):
    return Account(*service)


def chat(account, **more):
    """An endpoint of one variant, already seen."""
    account.aws.config("c1", variant("blue", account.aws.model("m1"), **more))
    account.aws.endpoint("chat", "c1")
    account.look()


def updated(account, seconds=600.0, **more):
    """The endpoint with another configuration, looked at afterwards."""
    account.aws.config("c2", variant("blue", **{"model": "m1", **more}))
    account.aws.update("chat", "c2", seconds)
    return account.changes()


def test_at_first_sight_nothing_changed(account):
    account.aws.config("c1", variant("blue", account.aws.model("m1")))
    account.aws.endpoint("chat", "c1")
    [sighting] = account.look()
    assert sighting.changes == ()
    assert sighting.notes == (
        "seen for the first time: blue (production); changes are told from here on",
    )
    assert sighting.deployment.endpoint == f"{SCOPE}chat"
    assert account.changes() == []


def test_an_instance_type_is_a_change_with_its_dates(account):
    chat(account)
    last_at_rest = account.aws.now
    account.aws.now += 30
    [change] = updated(account, kind="ml.g6.xlarge")
    assert change.kinds == (K.INSTANCE_TYPE,)
    assert change.description == "InstanceType ml.g5.xlarge -> ml.g6.xlarge"
    assert (change.baseline_variant, change.candidate_variant) == ("blue", "blue")
    assert change.started_at == last_at_rest + 30, "the configuration was made then"
    assert change.effective_at == last_at_rest + 630
    assert change.evidence["changed 1"] == "config.InstanceType ml.g5.xlarge -> ml.g6.xlarge"
    assert change.evidence["baseline_instance_type"] == "ml.g5.xlarge"
    assert change.evidence["candidate_instance_type"] == "ml.g6.xlarge"
    assert account.changes() == [], "told once"


def test_a_canary_is_dated_by_its_own_summary_and_its_bake_belongs_to_neither_side(account):
    chat(account)
    account.aws.config("c2", variant("blue", "m1", kind="ml.g6.xlarge"))
    account.aws.now += 17
    account.aws.begin("chat", "c2")
    began = account.aws.now
    for status in ("ActivatingTraffic", "Baking"):
        assert account.changes() == [], "not over yet"
        account.aws.now += 240
        account.aws.stage("chat", status)
    assert account.changes() == []
    underway = account.known[f"{SCOPE}chat"].underway
    assert underway["start"] == began
    assert underway["statuses"] == [
        "Updating", "blue Creating", "blue ActivatingTraffic", "blue Baking",
    ]  # fmt: skip
    account.aws.now += 300
    account.aws.finish("chat")
    over = account.aws.now
    [change] = account.changes()
    assert (change.started_at, change.effective_at) == (began, over)
    assert change.evidence["dated"] == (
        "start told by SageMaker; end is the endpoint's last change"
    )


def test_a_canary_that_is_rolled_back_is_no_change_but_is_told(account):
    chat(account)
    account.aws.config("c2", variant("blue", "m1", kind="ml.g6.xlarge"))
    account.aws.begin("chat", "c2")
    account.look()
    account.aws.roll_back("chat")
    [sighting] = account.look()
    assert sighting.changes == []
    [note] = sighting.notes
    assert note == (
        "the deployment of c2 did not stay, c1 serves on: its minutes (2025-11-24T16:01:00Z to "
        "2025-11-24T16:02:00Z) belong to no side of an audit"
    )
    assert account.known[f"{SCOPE}chat"].underway == {}
    assert account.known[f"{SCOPE}chat"].taken_back == Window(NOW + 60, NOW + 120)


def test_an_image_behind_the_same_tag_is_a_container(account):
    chat(account)
    account.aws.digests["repo/vllm:1"] = "ab" * 32
    account.aws.config("c2", variant("blue", "m1"))
    account.aws.update("chat", "c2")
    [change] = account.changes()
    assert change.kinds == (K.CONTAINER,)
    assert change.evidence["changed 1"] == (
        f"image[0] repo/vllm@sha256:{'0' * 64} -> repo/vllm@sha256:{'ab' * 32}"
    )
    assert change.description == "image[0] vllm@sha256:00000000 -> vllm@sha256:abababab"


def test_another_tag_of_the_same_image_is_nothing(account):
    chat(account)
    account.aws.model("m2", image="repo/vllm:latest")
    assert updated(account, model="m2") == []


@pytest.mark.parametrize("join", ["model name", "S3 location"])
def test_a_quantized_build_of_the_same_model_is_told_by_its_job(account, join):
    chat(account)
    made = "s3://models/awq/"
    output = {"S3OutputLocation": made}
    if join == "model name":
        output = {"S3OutputLocation": "s3://x/", "SageMakerModel": {"ModelName": "m2"}}
    account.aws.optimization(
        "make-awq",
        [{"ModelQuantizationConfig": {"OverrideEnvironment": {"OPTION_QUANTIZE": "awq"}}}],
        source={"SageMakerModel": {"ModelName": "m1"}},
        output=output,
    )
    account.aws.model("m2", url=f"{made}weights/", env={"OPTION_QUANTIZE": "awq"})
    [change] = updated(account, model="m2")
    assert change.kinds == (K.PRECISION,), "other weights of the same model are no change of theirs"
    assert change.evidence["job"] == "optimization job make-awq: precision (int4)"
    assert default_margins(change).source == "default for precision int4"
    assert change.description.startswith("optimization job make-awq: precision (int4); ")


def test_weights_that_no_job_made_of_the_model_are_confounded_with_its_precision(account):
    chat(account)
    account.aws.model("m2", url="s3://models/other/", env={"OPTION_QUANTIZE": "fp8"})
    [change] = updated(account, model="m2")
    assert change.kinds == (K.PRECISION, K.WEIGHTS) == change.confounded
    assert change.description.endswith("; confounded: precision, weights changed together")
    assert change.evidence["precision"] == "fp8"


def test_several_kinds_at_once_are_one_confounded_change(account):
    chat(account)
    account.aws.digests["repo/vllm:1"] = "cd" * 32
    [change] = updated(
        account, kind="ml.g6.xlarge", RoutingConfig={"RoutingStrategy": "RANDOM"},
        InferenceAmiVersion="al2-ami-sagemaker-inference-gpu-3-1",
    )  # fmt: skip
    assert change.kinds == (K.INSTANCE_TYPE, K.CONTAINER, K.DRIVER, K.ROUTING)
    assert change.description.endswith(
        "and 1 more; confounded: instance_type, container, driver, routing changed together"
    )


@pytest.mark.parametrize(
    ("env", "kind"),
    [
        ({"OPTION_SPECULATIVE_DRAFT_MODEL": "s3://draft"}, K.SPECULATIVE_DECODING),
        ({"TENSOR_PARALLEL_DEGREE": "4"}, K.ENV),
        ({"OPTION_DTYPE": "bf16"}, K.PRECISION),
        ({"OPTION_ENFORCE_EAGER": "false"}, K.COMPILATION),
        ({"HF_MODEL_ID": "org/other"}, K.WEIGHTS),
    ],
)
def test_environment_variables_say_what_they_change(account, env, kind):
    chat(account)
    account.aws.model("m2", env=env)
    [change] = updated(account, model="m2")
    assert change.kinds == (kind,)


def test_values_of_the_environment_are_kept_only_where_they_are_safe(account):
    account.aws.model("m1", env={"DB_URL": "postgres://u:hunter2@h", "SM_API_KEY": "hunter3"})
    account.aws.config("c1", variant("blue", "m1"))
    account.aws.endpoint("chat", "c1")
    account.look()
    account.aws.model("m2", env={"DB_URL": "postgres://u:hunter4@h", "SM_API_KEY": "hunter3"})
    [change] = updated(account, model="m2")
    assert change.kinds == (K.ENV,)
    everything = repr(change) + repr(account.known)
    assert "hunter" not in everything
    assert "DB_URL" in change.evidence["changed 1"]


@pytest.mark.parametrize("dated", [True, False])
def test_a_component_changes_without_its_endpoint(account, dated):
    account.aws.config("c1", variant("all"))
    account.aws.endpoint("chat", "c1")
    compute = {"NumberOfAcceleratorDevicesRequired": 1.0, "MinMemoryRequiredInMb": 1024}
    container = {"ArtifactUrl": "s3://m/1", "DeployedImage": account.aws.resolved("repo/vllm:1")}
    account.aws.component("llama", "chat", ComputeResourceRequirements=compute, Container=container)
    account.look()
    account.aws.now += 100
    account.aws.component(
        "llama", "chat", ComputeResourceRequirements=compute,
        Container={**container, "Environment": {"OPTION_QUANTIZE": "fp8"}},
    )  # fmt: skip
    component = account.aws.components["llama"]
    component["InferenceComponentStatus"] = "Updating"
    unchanged = NOW + 60
    [sighting] = account.look()
    assert (sighting.changes, sighting.notes) == ([], ("ic:llama is being updated",))
    assert account.look()[0].notes == (), "while it is being updated the old one is meant"
    component |= {"InferenceComponentStatus": "InService"} | (
        {"LastModifiedTime": at(account.aws.now + 30)} if dated else {}
    )
    [change] = account.changes()
    assert change.kinds == (K.PRECISION,)
    assert (change.baseline_variant, change.candidate_variant) == ("ic:llama", "ic:llama")
    # Both fleets answer from the last look at rest on, until AWS or the next such look says so.
    assert change.started_at == unchanged
    assert change.effective_at == account.aws.now - (30 if dated else 0)
    end = "end is the endpoint's last change" if dated else "end known only as before it was seen"
    assert end in change.evidence["dated"]


def test_a_component_keeps_its_date_while_the_whole_endpoint_is_being_updated(account):
    account.aws.config("c1", variant("all"))
    account.aws.endpoint("chat", "c1")
    container = {"ArtifactUrl": "s3://m/1", "DeployedImage": account.aws.resolved("repo/vllm:1")}
    account.aws.component("llama", "chat", Container=container)
    account.look()
    unchanged = account.aws.now
    quantized = {**container, "Environment": {"OPTION_QUANTIZE": "fp8"}}
    account.aws.now += 100
    account.aws.component("llama", "chat", Container=quantized)
    account.aws.components["llama"]["InferenceComponentStatus"] = "Updating"
    account.look()
    account.aws.config("c2", variant("all", kind="ml.g6.xlarge"))
    account.aws.now += 100
    account.aws.begin("chat", "c2")
    account.look()
    account.aws.now += 300
    account.aws.finish("chat")
    account.aws.components["llama"]["InferenceComponentStatus"] = "InService"
    changes = {change.candidate_variant: change for change in account.changes()}
    assert changes["ic:llama"].started_at <= unchanged + 60


def test_an_adapter_is_told_as_one(account):
    account.aws.config("c1", variant("all"))
    account.aws.endpoint("chat", "c1")
    for url in ("s3://lora/1", "s3://lora/2"):
        account.aws.component(
            "lora", "chat", BaseInferenceComponentName="llama", Container={"ArtifactUrl": url}
        )
        found = account.changes()
    assert [change.kinds for change in found] == [(K.ADAPTER,)]


def test_capacity_alone_is_a_covariate(account):
    chat(account)
    account.aws.scale("chat", 7)
    [sighting] = account.look()
    assert sighting.changes == []
    assert sighting.notes == ("blue: live.DesiredInstanceCount 2 -> 7 (a covariate)",)
    [fingerprints] = {account.known[f"{SCOPE}chat"].fingerprint}
    assert fingerprints == sighting.deployment.fingerprint


def test_serverless_memory_and_the_way_to_instances(account):
    serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    chat(account, kind=None, ServerlessConfig=serverless)
    [change] = updated(account, kind=None, ServerlessConfig={**serverless, "MemorySizeInMB": 4096})
    assert change.kinds == (K.SERVERLESS_MEMORY,)
    account.aws.config("c3", variant("blue", "m1", kind="ml.g5.xlarge"))
    account.aws.update("chat", "c3")
    [change] = account.changes()
    assert change.kinds == (K.INSTANCE_TYPE,)


def test_a_shadow_variant_is_compared_side_by_side(account):
    chat(account)
    account.aws.model("m2", env={"OPTION_QUANTIZE": "fp8"})
    account.aws.config("c2", variant("blue", "m1"), shadow=[variant("shadow", "m2")])
    account.aws.update("chat", "c2")
    [change] = account.changes()
    assert (change.baseline_variant, change.candidate_variant) == ("blue", "shadow")
    assert change.effective_at is None
    assert change.kinds == (K.PRECISION,)


def test_a_variant_of_another_name_takes_the_place_of_the_old_one(account):
    chat(account)
    account.aws.config("c2", variant("green", "m1", kind="ml.g6.xlarge"))
    account.aws.update("chat", "c2")
    [change] = account.changes()
    assert (change.baseline_variant, change.candidate_variant) == ("blue", "green")
    assert change.effective_at is not None


def test_multi_instance_gpu_layouts_are_their_own_kind(account):
    chat(account)
    layouts = [{"AcceleratorPartitionTypes": ["mig-1g.10gb", "mig-1g.10gb"]}]
    [change] = updated(account, AcceleratorPartitionLayouts=layouts)
    assert change.kinds == (K.MIG,)


def test_a_deleted_endpoint_is_told_once_and_compared_when_it_is_made_again(account):
    chat(account)
    account.aws.endpoints.clear()
    [sighting] = account.look()
    assert sighting.notes == ("was deleted",)
    assert account.look() == []
    account.aws.config("c2", variant("blue", "m1", kind="ml.g6.xlarge"))
    account.aws.endpoint("chat", "c2")
    [sighting] = account.look()
    assert [change.kinds for change in sighting.changes] == [(K.INSTANCE_TYPE,)]
    assert sighting.notes == ("was made again after it had been deleted",)


@pytest.mark.parametrize(
    ("denied", "said"),
    [
        ("ListOptimizationJobs", "models that an optimization job quantized or compiled are not"),
        ("DescribeModel", "weights, precision and environment of models are not seen"),
    ],
)
def test_a_missing_permission_disables_that_source_and_is_named(account, denied, said):
    chat(account)
    other = account.aws.model("m3", url="s3://models/other/")
    account.aws.denied = {denied}
    # Jobs are asked for where another model serves.
    model = other if denied == "ListOptimizationJobs" else "m1"
    [change] = updated(account, kind="ml.g6.xlarge", model=model)
    assert K.INSTANCE_TYPE in change.kinds
    problems = account.source.problems
    if denied == "DescribeModel":
        account.aws.model("m2")  # not known yet, so it is asked for
        account.aws.config("c3", variant("blue", "m2", kind="ml.g6.xlarge"))
        account.aws.update("chat", "c3")
        assert account.changes() == [], "what cannot be read has not changed"
        problems = account.source.problems
    [problem] = problems
    assert problem.startswith(f"sagemaker:{denied} is refused: {said}")
    assert problem.endswith("; allow it")


def test_components_that_may_not_be_listed_are_named(account):
    account.aws.config("c1", variant("all"))
    account.aws.endpoint("chat", "c1")
    account.aws.denied = {"ListInferenceComponents"}
    account.look()
    [problem] = account.source.problems
    assert problem == (
        "sagemaker:ListInferenceComponents is refused: inference components are not watched; "
        "allow it"
    )


def test_without_the_list_nothing_can_be_looked_at(account):
    account.aws.denied = {"ListEndpoints"}
    with pytest.raises(AuthError, match="allow sagemaker:ListEndpoints, see the policy"):
        account.look()


def test_an_endpoint_that_cannot_be_described_stops_no_other(account):
    for name in ("a", "b"):
        account.aws.config(f"c-{name}", variant("blue", account.aws.model(f"m-{name}")))
        account.aws.endpoint(name, f"c-{name}")
    described = account.aws.describe_endpoint

    def broken(EndpointName):
        if EndpointName == "a":
            account.aws.throttled = {"DescribeEndpoint"}
        try:
            return described(EndpointName)
        finally:
            account.aws.throttled = set()

    account.aws.describe_endpoint = broken
    [sighting] = account.look()
    assert sighting.deployment.endpoint == f"{SCOPE}b"
    assert account.source.problems[0].startswith("a: sagemaker:DescribeEndpoint in eu-west-1: thr")


def test_pages_of_a_hundred_and_patterns(service):
    account = Account(*service, patterns=("chat-1*", "other"))
    account.aws.config("c", variant("blue", account.aws.model("m")))
    for number in range(130):
        account.aws.endpoint(f"chat-{number}", "c")
    seen = {one.deployment.endpoint.rpartition("/")[2] for one in account.look()}
    assert seen == {f"chat-{n}" for n in range(130) if str(n).startswith("1")}
    assert account.aws.calls.count("ListEndpoints") == 2
    assert account.aws.calls.count("DescribeModel") == 1, "a model never changes"


def test_an_endpoint_that_is_being_made_is_looked_at_when_it_serves(account):
    account.aws.config("c1", variant("blue", account.aws.model("m1")))
    account.aws.endpoint("chat", "c1")
    account.aws.endpoints["chat"]["EndpointStatus"] = "Creating"
    assert account.look() == []
    account.aws.endpoints["chat"] |= {"EndpointStatus": "InService", "LastModifiedTime": at(NOW)}
    assert len(account.look()) == 1


def test_a_model_made_again_under_its_name_is_read_again(account):
    chat(account)
    account.aws.model("m1", env={"OPTION_QUANTIZE": "fp8"})
    account.aws.config("c1", variant("blue", "m1"))
    account.aws.update("chat", "c1")
    [change] = account.changes()
    assert change.kinds == (K.PRECISION,)


def test_a_model_made_again_under_its_name_is_read_again_with_a_new_configuration(account):
    chat(account)
    account.aws.model("m1", env={"OPTION_QUANTIZE": "fp8"})
    [change] = updated(account)
    assert change.kinds == (K.PRECISION,)


def test_a_shadow_model_made_again_is_read_again(account):
    account.aws.config(
        "c1",
        variant("blue", account.aws.model("m1")),
        shadow=[variant("next", account.aws.model("m2"))],
    )
    account.aws.endpoint("chat", "c1")
    account.look()
    account.aws.model("m2", env={"OPTION_QUANTIZE": "fp8"})
    account.aws.update("chat", "c1")
    [change] = account.changes()
    assert change.kinds == (K.PRECISION,)


def test_an_answer_of_another_shape_stops_its_endpoint_only(account, monkeypatch):
    chat(account)
    account.aws.config("c9", variant("green", account.aws.model("m9")))
    account.aws.endpoint("odd", "c9")
    describe = Describer.describe

    def odd(describer, name):
        # As an answer without the field ends; the fake does not send one.
        return {}["LastModifiedTime"] if name == "odd" else describe(describer, name)

    monkeypatch.setattr(Describer, "describe", odd)
    [change] = updated(account, kind="ml.g6.xlarge")
    assert change.kinds == (K.INSTANCE_TYPE,)
    [problem] = account.source.problems
    assert problem.startswith("odd: SageMaker answered of another shape than documented (KeyError")


def test_a_permission_that_was_given_later_is_used(account):
    account.aws.denied = {"DescribeModel"}
    chat(account)
    assert len(account.source.problems) == 1
    account.look()
    assert len(account.source.problems) == 1, "told at every look"
    account.aws.denied = set()
    account.look()
    assert account.source.problems == ()


def test_an_unchanged_fleet_costs_one_call_an_endpoint(account):
    for number in range(5):
        account.aws.config(f"c{number}", variant("blue", account.aws.model(f"m{number}")))
        account.aws.endpoint(f"e{number}", f"c{number}")
    account.look()
    account.aws.calls.clear()
    account.look()
    calls = ["ListEndpoints", *["DescribeEndpoint"] * 5]
    assert sorted(account.aws.calls) == sorted([*calls, "ListAIBenchmarkJobs"]), "once an hour"
    account.aws.calls.clear()
    account.look()
    assert account.aws.calls == calls


def test_a_request_that_is_refused_as_wrong_is_not_a_deleted_endpoint(account):
    chat(account)

    def wrong(**_):
        raise ServiceError(400, "ValidationException", "1 validation error detected")

    account.aws.describe_endpoint = wrong
    assert account.look() == []
    assert account.source.problems[0].startswith("chat: sagemaker:DescribeEndpoint in eu-west-1: ")
    assert account.known[f"{SCOPE}chat"].document["status"] == "InService"


def test_half_of_all_descriptions_throttled_loses_no_change_and_tells_none_twice(service):
    account = Account(*service)
    for number in range(8):
        account.aws.config(f"c{number}", variant("blue", account.aws.model(f"m{number}")))
        account.aws.endpoint(f"e{number}", f"c{number}")
    account.look()
    described, calls = account.aws.describe_endpoint, count()

    def half(EndpointName):
        if next(calls) % 2:
            raise ServiceError(400, "ThrottlingException", "Rate exceeded")
        return described(EndpointName)

    account.aws.describe_endpoint = half
    for number in range(8):
        account.aws.config(f"d{number}", variant("blue", f"m{number}", kind="ml.g6.xlarge"))
        account.aws.update(f"e{number}", f"d{number}")
    found = []
    for _ in range(9):
        next(calls)  # another endpoint is throttled than in the last look
        found += [change.endpoint for change in account.changes()]
    assert sorted(found) == [f"{SCOPE}e{number}" for number in range(8)]


def test_every_container_of_a_pipeline_is_seen(account):
    first, second = {"Image": "repo/vllm:1"}, {"Image": "repo/post:1", "Environment": {"W": "2"}}
    account.aws.config("c1", variant("blue", account.aws.pipeline("p1", first, second)))
    account.aws.endpoint("chat", "c1")
    account.look()
    account.aws.pipeline("p2", first, {**second, "Environment": {"W": "4"}})
    [change] = updated(account, model="p2")
    assert change.kinds == (K.ENV,)
    assert change.evidence["changed 1"].startswith("model[1].env.W sha256:")


def test_a_multi_model_cache_and_an_asynchronous_endpoint_are_described(account):
    chat(account)
    account.aws.model("m2", Mode="MultiModel", MultiModelConfig={"ModelCacheSetting": "Disabled"})
    [change] = updated(account, model="m2")
    assert change.kinds == (K.ENV,)
    account.aws.endpoints["chat"]["AsyncInferenceConfig"] = {
        "OutputConfig": {"S3OutputPath": "s3://out/"}
    }
    [sighting] = account.look()
    assert sighting.changes == []
    assert sighting.notes == (
        "AsyncInferenceConfig.OutputConfig.S3OutputPath (none) -> s3://out/ (a covariate)",
    )
