"""Discovery goes on where something beside an endpoint fails, and asks only what it needs."""

from types import SimpleNamespace

import pytest
from fakeaws.metrics import ServiceError
from fakeaws.sagemaker import ai_recommendation, at, variant
from support.sagemaker import SCOPE, Account
from support.scripted import InProcess, Scripted

from nibai.app.audit import change_document
from nibai.errors import AuthError, CollectError
from nibai.model import Change, ChangeKind
from nibai.protocols.discovery import Deployment, Later
from nibai.store.state.database import open_state
from nibai.store.state.deployments import Deployments

K = ChangeKind
DAY = 86_400.0


def direct(**options):
    """An account that is asked without HTTP."""
    caller = InProcess("sagemaker", None)
    made = Account(SimpleNamespace(backends={}), caller, **options)
    caller.backend = made.aws
    return made


@pytest.fixture
def account():
    return direct()


def chat(account, **more):
    account.aws.config("c1", variant("blue", account.aws.model("m1"), **more))
    account.aws.endpoint("chat", "c1")
    account.look()


def updated(account, **more):
    account.aws.config("c2", variant("blue", **{"model": "m1", **more}))
    account.aws.update("chat", "c2")
    return account.changes()


def fails(code, status=400):
    def answer(**_request):
        raise ServiceError(status, code, "said so")

    return answer


# -- jobs that made a model ---------------------------------------------------------------------


def quantized(account, name, made):
    account.aws.optimization(
        name, [{"ModelQuantizationConfig": {"OverrideEnvironment": {"OPTION_QUANTIZE": "fp8"}}}],
        source={"S3": {"S3Uri": "s3://models/base/"}},
        output={"S3OutputLocation": f"s3://models/{made}/"},
    )  # fmt: skip


def test_jobs_are_described_only_until_one_explains_and_not_where_the_model_stayed(account):
    for number in range(40):
        account.aws.now += 60
        quantized(account, f"job-{number}", f"made-{number}")
    chat(account)
    account.aws.calls.clear()
    [change] = updated(account, kind="ml.g6.xlarge")
    assert change.kinds == (K.INSTANCE_TYPE,)
    assert not [call for call in account.aws.calls if "Job" in call and "AI" not in call and
                "Inference" not in call], "no job made what did not change"  # fmt: skip
    account.aws.model("m2", url="s3://models/made-37/")
    account.aws.config("c3", variant("blue", "m2", kind="ml.g6.xlarge"))
    account.aws.update("chat", "c3")
    [change] = account.changes()
    assert change.kinds == (K.PRECISION,)
    assert account.aws.calls.count("ListOptimizationJobs") == 1, "a page of the newest"
    assert account.aws.calls.count("DescribeOptimizationJob") == 3
    assert "ListCompilationJobs" not in account.aws.calls


def test_a_job_that_is_deleted_meanwhile_hides_no_older_one(account):
    for number in range(3):
        account.aws.now += 60
        quantized(account, f"job-{number}", f"made-{number}")
    chat(account)
    account.aws.describe_optimization_job = lambda OptimizationJobName: (
        fails("ResourceNotFound")() if OptimizationJobName == "job-2"
        else account.aws.optimizations[OptimizationJobName]
    )  # fmt: skip
    account.aws.model("m2", url="s3://models/made-0/")
    [change] = updated(account, model="m2")
    assert change.kinds == (K.PRECISION,)


# -- what lies beside an endpoint ---------------------------------------------------------------


@pytest.mark.parametrize("code", ["UnknownOperationException", "ValidationException"])
def test_a_region_without_ai_jobs_tells_its_changes(account, code):
    chat(account)
    account.aws.list_ai_recommendation_jobs = account.aws.list_ai_benchmark_jobs = fails(code)
    [change] = updated(account, kind="ml.g6.xlarge")
    assert change.kinds == (K.INSTANCE_TYPE,)
    assert any("figures of AI recommendation jobs are not read" in p
               for p in account.source.problems)  # fmt: skip


def test_figures_of_an_odd_shape_are_told_and_not_in_the_way(account):
    chat(account)
    odd = ai_recommendation("odd", "s3://models/base/", {"ml.g5.xlarge": 1, "ml.g6.xlarge": 2})
    odd["Recommendations"][0]["ExpectedPerformance"] = [{"Value": "1"}]
    account.aws.advice["odd"] = odd
    [change] = updated(account, kind="ml.g6.xlarge")
    assert change.kinds == (K.INSTANCE_TYPE,)
    assert account.source.problems == ("chat: AWS's own figures are not read: KeyError: 'Metric'",)


@pytest.mark.parametrize("retryable", [True, False])
def test_a_queue_that_is_gone_stops_no_look(retryable):
    gone = CollectError("sqs:ReceiveMessage: no such queue", retryable=retryable, reason="x")
    queue = Scripted("sqs", ReceiveMessage=gone)
    account = direct(queue=(queue, "https://sqs/123456789012/nibai"))
    chat(account)
    [change] = updated(account, kind="ml.g6.xlarge")
    assert change.kinds == (K.INSTANCE_TYPE,)
    assert any("no such queue" in problem for problem in account.source.problems)


def test_cloudtrail_is_asked_no_further_back_than_it_reaches():
    trail = Scripted("cloudtrail", LookupEvents={"Events": []})
    account = direct(trail=trail)
    chat(account)
    account.aws.now += 200 * DAY
    [change] = updated(account, kind="ml.g6.xlarge")
    assert change.kinds == (K.INSTANCE_TYPE,)
    asked = min(request["StartTime"].timestamp() for _, request in trail.asked)
    assert account.aws.now - asked <= 90 * DAY + 300


def test_credentials_of_another_account_are_told_and_nothing_is_taken_for_it(account):
    """All its endpoints would be kept under the name of an account that has none of them."""
    account.aws.config("c1", variant("blue", account.aws.model("m1")))
    account.aws.endpoint("chat", "c1")
    account.source._account = "999999999999"
    with pytest.raises(AuthError, match=r"answers for account 123456789012, nibai.yaml says 9999"):
        account.look()


# -- serverless concurrency ---------------------------------------------------------------------


def test_concurrency_of_a_serverless_variant_is_seen_when_it_changes(account):
    """UpdateEndpointWeightsAndCapacities: the configuration stays as it was."""
    serverless = {"MemorySizeInMB": 4096, "MaxConcurrency": 10}
    account.aws.config("c1", variant("blue", account.aws.model("m1"), kind=None,
                                     ServerlessConfig=serverless))  # fmt: skip
    account.aws.endpoint("chat", "c1")
    [live] = account.aws.endpoints["chat"]["ProductionVariants"]
    live["CurrentServerlessConfig"] = dict(serverless)
    account.look()
    first = account.known[f"{SCOPE}chat"]
    live["DesiredServerlessConfig"] = {**serverless, "ProvisionedConcurrency": 5}
    account.aws.endpoints["chat"]["LastModifiedTime"] = at(account.aws.now)
    [sighting] = account.look()
    assert sighting.changes == []
    assert sighting.notes == (
        "blue: config.ServerlessConfig.ProvisionedConcurrency (none) -> 5 (a covariate)",
    )
    unit = sighting.deployment.document["units"][0]
    assert unit["capacity"]["config.ServerlessConfig.ProvisionedConcurrency"] == "5"
    assert unit["capacity"]["config.ServerlessConfig.MaxConcurrency"] == "10"
    assert sighting.deployment.document != first.document, "kept with its date"
    assert sighting.deployment.fingerprint == first.fingerprint, "capacity is no optimization"


# -- figures that come after a change was told ----------------------------------------------------


@pytest.fixture
def state(tmp_path):
    made = open_state(tmp_path / "state.sqlite")
    yield made
    made.close()


def known_change(state, identity, moment):
    change = Change(
        identity, "sagemaker/1.eu-west-1/chat", (K.INSTANCE_TYPE,), effective_at=moment,
        started_at=moment - 60, declared_at=moment, candidate_variant="blue",
        evidence={"source": "discovered", "AWS's figure 1": "known"},
    )  # fmt: skip
    endpoint = change.endpoint
    kept = Deployments(state)
    before = kept.latest().get(endpoint)
    kept.keep(before, Deployment(endpoint, identity, moment, moment, {}), [change_document(change)])


def test_later_figures_are_added_once_to_the_change_that_they_are_about(state):
    for identity, moment in (("chg-00000001", 1000.0), ("chg-00000002", 5000.0)):
        known_change(state, identity, moment)
    kept = Deployments(state)
    later = [
        Later(2000.0, "of the first"),
        Later(6000.0, "of the second"),
        Later(6000.0, "known"),
        Later(6000.0, "about a component", "ic:adapter"),
        Later(6000.0, "across the first", compared_since=900.0),
        Later(6000.0, "within the second", compared_since=5500.0),
        Later(10.0, "before all"),
    ]
    assert kept.add_evidence("sagemaker/1.eu-west-1/chat", later) == [
        ("chg-00000001", "of the first"),
        ("chg-00000002", "of the second"),
        ("chg-00000002", "across the first"),
    ]
    assert kept.add_evidence("sagemaker/1.eu-west-1/chat", later) == [], "told once"
    assert state.change("chg-00000002")["evidence"] == {
        "source": "discovered", "AWS's figure 1": "known", "AWS's figure 2": "of the second",
        "AWS's figure 3": "across the first",
    }  # fmt: skip


# -- what failed for good -------------------------------------------------------------------------


def test_an_endpoint_that_aws_gave_up_is_not_being_deployed(account):
    chat(account)
    account.aws.endpoints["chat"]["EndpointStatus"] = "UpdateRollbackFailed"
    [sighting] = account.look()
    assert sighting.notes == (
        "is UpdateRollbackFailed: changes are told when it is InService again",
    )
    [sighting] = account.look()
    assert sighting.notes == (), "said once"


def test_a_component_that_failed_is_told_once_and_is_not_being_updated(account):
    account.aws.config("c1", variant("all"))
    account.aws.endpoint("chat", "c1")
    account.aws.component("llama", "chat", ModelName=account.aws.model("m1"))
    account.look()
    account.aws.now += 60
    account.aws.component("llama", "chat", ModelName=account.aws.model("m2", url="s3://other/"))
    account.aws.components["llama"]["InferenceComponentStatus"] = "Failed"
    [sighting] = account.look()
    assert sighting.changes == [], "what failed does not serve"
    assert sighting.notes == ("ic:llama has failed: nothing new of it serves",)
    assert "components" not in sighting.deployment.underway
    [sighting] = account.look()
    assert sighting.notes == ()
    account.aws.components["llama"]["InferenceComponentStatus"] = "InService"
    [change] = account.changes()
    assert change.kinds == (K.WEIGHTS,)
