"""Weights that were overwritten at their address, and models that come to a folder and go."""

import pytest
from fakeaws.metrics import ServiceError
from fakeaws.s3 import S3
from fakeaws.sagemaker import SageMaker, variant
from fakeaws.server import FakeAws
from support.sagemaker import NOW, SCOPE, Account

from collector.aws.errors import AuthError
from collector.aws.session import AwsClient
from collector.sagemaker.artifacts import MOST_MODELS, Artifacts
from collector.sagemaker.snapshot import Role, Snapshot, Unit
from nibai.model import ChangeKind

FILE, FOLDER = "s3://models/llama.tar.gz", "s3://models/base/"
WEIGHTS = (ChangeKind.WEIGHTS,)


class Watched(Account):
    """As `Account`, with an S3 whose objects the test writes."""

    def __init__(self, fake, sagemaker, store):
        self.s3 = fake.backends["s3"]
        super().__init__(fake, sagemaker, store=store)
        fake.backends["sagemaker"] = self.aws

    def write(self, key, text):
        self.s3.put("models", key, text.encode(), self.aws.now)

    def serve(self, url, **more):
        self.aws.config("c1", variant("blue", self.aws.model("m1", url=url, **more)))
        self.aws.endpoint("chat", "c1")
        return self.look()


@pytest.fixture(scope="module")
def service():
    with FakeAws(sagemaker=SageMaker(NOW), s3=S3()) as fake, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
        clients = [AwsClient(name, "eu-west-1", endpoint_url=fake.url, tries=1)
                   for name in ("sagemaker", "s3")]  # fmt: skip
        yield fake, clients


@pytest.fixture
def account(service):
    fake, clients = service
    fake.backends["s3"] = S3()
    return Watched(fake, *clients)


@pytest.mark.parametrize(("url", "key"), [(FILE, "llama.tar.gz"), (FOLDER, "base/part-1.bin")])
def test_overwritten_weights_are_a_change_when_instances_may_have_loaded_them(account, url, key):
    account.write(key, "one")
    account.serve(url)
    assert account.look(after=3700.0)[0].notes == ()
    account.write(key, "other")
    [sighting] = account.look(after=3700.0)
    assert sighting.changes == []
    [note] = sighting.notes
    assert note.startswith("blue: what lies at model[0].ModelDataUrl was overwritten (")
    assert note.endswith("instances that start from now on serve it, those that run do not")
    assert account.look(after=3700.0)[0].notes == (), "told once"
    account.aws.scale("chat", 4)
    scaled = account.aws.now
    [change] = account.changes()
    assert (change.kinds, change.effective_at) == (WEIGHTS, scaled)
    assert change.description.startswith("contents of ModelDataUrl ")
    assert account.changes(after=3700.0) == []


def test_weights_that_are_overwritten_and_deployed_are_one_change(account):
    account.write("llama.tar.gz", "one")
    account.serve(FILE)
    account.write("llama.tar.gz", "other")
    account.aws.config("c2", variant("blue", "m1", kind="ml.g6.xlarge"))
    account.aws.update("chat", "c2")
    [change] = account.changes()
    assert set(change.kinds) == {ChangeKind.INSTANCE_TYPE, ChangeKind.WEIGHTS}
    assert change.effective_at == account.aws.now - 60


@pytest.mark.parametrize("rolling", [False, True])
def test_a_deployment_that_was_taken_back_loads_nothing_new(account, rolling):
    """Its old fleet runs on (blue/green); of a rolling update the old instances start anew."""
    account.write("llama.tar.gz", "one")
    account.serve(FILE)
    account.write("llama.tar.gz", "other")
    account.aws.config("c2", variant("blue", "m1", kind="ml.g6.xlarge"))
    account.aws.begin("chat", "c2")
    account.look(after=3700.0)
    if rolling:
        account.aws.endpoints["chat"]["LastDeploymentConfig"] = {
            "RollingUpdatePolicy": {
                "MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1},
                "WaitIntervalInSeconds": 60,
            }
        }
    account.aws.roll_back("chat")
    [sighting] = account.look(after=3700.0)
    assert [change.kinds for change in sighting.changes] == [WEIGHTS] * rolling
    if rolling:
        return
    assert any("did not stay" in note for note in sighting.notes)
    assert any("was overwritten" in note for note in sighting.notes)
    account.aws.scale("chat", 4)
    assert [change.kinds for change in account.changes(after=3700.0)] == [WEIGHTS], "now they are"


def test_the_same_bytes_written_again_are_nothing(account):
    account.write("llama.tar.gz", "one")
    account.serve(FILE)
    account.write("llama.tar.gz", "one")
    account.aws.scale("chat", 4)
    assert account.changes(after=3700.0) == []


def test_s3_is_asked_once_an_hour_and_when_the_endpoint_was_modified(account):
    account.write("llama.tar.gz", "one")
    account.serve(FILE)
    for _ in range(5):
        account.look()
    assert len(account.s3.asked) == 1
    account.look(after=3600.0)
    assert len(account.s3.asked) == 2
    account.aws.scale("chat", 3)
    account.look()
    assert len(account.s3.asked) == 3


def test_models_of_a_multi_model_folder_are_told_apart(account):
    for name in ("de", "en", "fr"):
        account.write(f"mme/{name}.tar.gz", "one")
    account.serve("s3://models/mme/", Mode="MultiModel")
    account.write("mme/en.tar.gz", "other")
    account.write("mme/it.tar.gz", "one")
    del account.s3.objects["models", "mme/fr.tar.gz"]
    [sighting] = account.look(after=3700.0)
    [change] = sighting.changes
    assert change.kinds == WEIGHTS
    assert change.description.startswith("contents of en.tar.gz etag ")
    # Nothing was deployed: from the last look on either may have answered.
    assert (change.started_at, change.effective_at) == (NOW + 60, account.aws.now)
    covariates = [v for k, v in change.evidence.items() if k.startswith("covariate")]
    assert len(covariates) == 2
    assert "models[fr.tar.gz] etag" in covariates[0]
    assert covariates[1].startswith("artifact.model[0].ModelDataUrl.models[it.tar.gz] (none) -> ")
    account.write("mme/es.tar.gz", "one")
    [sighting] = account.look(after=3700.0)
    assert sighting.changes == []
    assert any("models[es.tar.gz] (none) -> etag" in one for one in sighting.notes)


def test_a_large_folder_is_looked_into_as_far_as_it_is_said(account):
    for number in range(MOST_MODELS + 5):
        account.write(f"mme/{number:04}", "one")
    account.serve("s3://models/mme/", Mode="MultiModel")
    facts = account.known[f"{SCOPE}chat"].document["units"][0]["facts"]
    assert facts["artifact.model[0].ModelDataUrl.listed"] == f"{MOST_MODELS} or more objects"
    assert sum(".models[" in path for path in facts) == MOST_MODELS


def test_what_is_refused_is_named_and_stops_nothing(account):
    account.write("llama.tar.gz", "one")
    account.serve(FILE)
    account.s3.denied = {"llama"}
    account.aws.config("c2", variant("blue", "m1", kind="ml.g6.xlarge"))
    account.aws.update("chat", "c2", 3700.0)
    [change] = account.changes()
    assert change.kinds == (ChangeKind.INSTANCE_TYPE,)
    [problem] = account.source.problems
    assert problem == (
        f"s3:GetObject of {FILE} is refused: weights that are overwritten at their address are not "
        "seen; allow it for the models' bucket, or say weights: false"
    )
    account.s3.denied = set()
    account.write("llama.tar.gz", "other")
    account.aws.scale("chat", 4)
    [change] = account.changes(after=3700.0)
    assert change.kinds == WEIGHTS, "what was known before is not forgotten"
    assert account.source.problems == ()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://arn:aws:s3:eu-west-1:1:accesspoint/x/m.tar.gz", "is not written like s3://BUCKET"),
        (FILE, "503"),
    ],
)
def test_what_cannot_be_asked_now_is_told(account, url, said):
    account.s3.error = ServiceError(503, "SlowDown", "later")
    account.serve(url)
    [problem] = account.source.problems
    assert said in problem or "throttled" in problem
    assert problem.endswith(": whether it was overwritten is not known")


def test_a_state_of_an_earlier_version_makes_no_change(account):
    account.write("llama.tar.gz", "one")
    account.source._artifacts, kept = None, account.source._artifacts
    account.serve(FILE)
    account.source._artifacts = kept
    account.aws.scale("chat", 4)
    assert account.changes() == []
    account.write("llama.tar.gz", "other")
    account.aws.scale("chat", 5)
    assert [change.kinds for change in account.changes()] == [WEIGHTS]


def test_without_credentials_nothing_goes_on():
    class Refused:
        def call(self, *_, **__):
            raise AuthError("expired")

    unit = Unit("blue", Role.PRODUCTION, {"model[0].ModelDataUrl": FILE})
    with pytest.raises(AuthError):
        Artifacts(Refused(), lambda: NOW).seen(Snapshot("c", "InService", "c1", NOW, (unit,)))
