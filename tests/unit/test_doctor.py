"""What can be read is told with its cost first, what cannot with the exact fix, and dated."""

import json

import pytest
import yaml
from botocore import xform_name
from fakeaws.sagemaker import SageMaker, variant
from support.sagemaker import NOW
from support.scripted import Scripted

from collector.capabilities.source import AwsExaminer, Place, places
from nibai import cli
from nibai.errors import CollectError
from nibai.protocols import Capability, Effort, Examiner, Standing
from nibai.store.capabilities import put_capabilities
from nibai.store.state import open_state

PLACE = Place("123456789012", "eu-west-1", ("chat*",))


class InProcess(Scripted):
    """A fake's backend asked directly."""

    def __init__(self, service, backend):
        super().__init__(service)
        self.backend = backend

    def call(self, operation, **request):
        from fakeaws.metrics import ServiceError  # noqa: PLC0415

        from collector.aws.errors import action, translated  # noqa: PLC0415

        self.asked.append((operation, request))
        try:
            return getattr(self.backend, xform_name(operation))(**request)
        except ServiceError as error:
            response = {"Error": {"Code": error.code, "Message": error.message}}
            raise translated(
                f"{self.service}:{operation}", response, action(self.service, operation)
            ) from None


def account():
    aws = SageMaker(NOW)
    aws.config("c1", variant("blue", aws.model("m1")))
    aws.endpoint("chat", "c1")
    return aws


def examiner(aws, **services):
    made = {"sagemaker": InProcess("sagemaker", aws), **services}
    return AwsExaminer(
        [PLACE], lambda _place, name: made.get(name) or Scripted(name), clock=lambda: NOW
    )


def told(aws, **services):
    return {one.name: one for one in examiner(aws, **services).examine()}


def test_the_protocol_is_kept():
    assert isinstance(examiner(account()), Examiner)


def test_every_permission_is_asked_for_once_and_named_when_it_lacks():
    aws = account()
    aws.denied = {"ListOptimizationJobs", "DescribeModel"}
    found = told(aws)
    assert found["sagemaker:ListEndpoints"].said == "may be read: 1 listed"
    assert found["sagemaker:DescribeAIBenchmarkJob"].standing is Standing.PRESENT
    lacking = {n for n, one in found.items() if one.standing is Standing.DENIED}
    assert {"sagemaker:ListOptimizationJobs", "sagemaker:DescribeModel"} <= lacking
    assert found["sagemaker:DescribeModel"].remedy == (
        "allow sagemaker:DescribeModel (deploy/iam/nibai-read.json)"
    )


def test_enrichment_is_never_switched_on_but_its_commands_and_bill_are_printed():
    cloudwatch = Scripted("cloudwatch", GetOTelEnrichment={"Status": "Stopped"})
    found = told(account(), cloudwatch=cloudwatch)["OTel enrichment of metrics"]
    assert found.standing is Standing.ABSENT
    assert found.remedy == (
        "aws observabilityadmin start-telemetry-enrichment --region eu-west-1\n"
        "aws cloudwatch start-otel-enrichment --region eu-west-1\n"
        "costs about $0.24 a month for 1 variants (500 bytes a sample assumed); "
        "nibai never runs these"
    )
    assert all(not name.startswith(("Start", "Put", "Update")) for name, _ in cloudwatch.asked)


def test_a_service_that_cannot_be_reached_leaves_its_points_unknown():
    broken = Scripted("cloudwatch", GetOTelEnrichment=CollectError("not reached"))
    found = told(account(), cloudwatch=broken)["OTel enrichment of metrics"]
    assert (found.standing, found.said) == (Standing.UNKNOWN, "not reached")


def test_accounts_of_both_sections_are_looked_at_once():
    one = {"account": "1", "region": "r", "endpoints": ["a"]}
    other = {"account": "2", "region": "r", "endpoints": {"b": ["blue"]}}
    found = places({"sagemaker": [one], "cloudwatch": [one, other]})
    assert [(p.account, p.patterns) for p in found] == [("1", ("a",)), ("2", ("b",))]
    assert [p.patterns for p in places({"sagemaker": [one]}, "x")] == [("x",)]


class Two:
    """An examiner of a test."""

    def __init__(self, standing):
        self.standing = standing

    def effort(self):
        return [Effort("account 1", 3, 0.00012)]

    def examine(self):
        remedy = "" if self.standing is Standing.PRESENT else "do this\nthen that"
        return [
            Capability("account 1", "reading", self.standing, "as it is", remedy),
            Capability("account 1", "of a point", Standing.UNKNOWN, "nobody knows", "", 3),
        ]


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    path = tmp_path / "nibai.yaml"
    path.write_text(yaml.safe_dump({"data": str(tmp_path / "data")}), encoding="utf-8")
    monkeypatch.setattr("time.time", lambda: NOW)

    def ran(standing, *arguments):
        monkeypatch.setattr("nibai.app.doctor.examiners", lambda *_: [Two(standing)])
        code = cli.invoke(["doctor", "--config", str(path), *arguments])
        return code, capsys.readouterr().out

    return ran


def test_the_text_says_the_cost_first_and_the_fix_below(run, golden):
    code, first = run(Standing.ABSENT)
    assert code == 0
    _, later = run(Standing.PRESENT)
    golden("doctor.txt", f"{first}\n--- later ---\n{later}")


def test_the_document_has_the_dates(run):
    run(Standing.ABSENT)
    _, out = run(Standing.PRESENT, "--format", "json")
    document = json.loads(out)
    assert document["schema"] == "nibai.doctor/1"
    assert document["effort"] == [{"topic": "account 1", "reads": 3, "dollars": 0.00012}]
    [reading, point] = document["capabilities"]
    assert (reading["standing"], reading["was"], reading["remedy"]) == ("present", "absent", None)
    assert (point["number"], point["was"], point["since"]) == (3, "unknown", "2025-11-24T16:00:00Z")


def test_without_a_section_there_is_nothing_to_look_at(tmp_path, capsys):
    path = tmp_path / "nibai.yaml"
    path.write_text(yaml.safe_dump({"data": str(tmp_path / "data")}), encoding="utf-8")
    assert cli.invoke(["doctor", "--config", str(path)]) == 0
    assert capsys.readouterr().out.startswith("nothing to look at: nibai.yaml names no account")


def test_what_stays_keeps_its_date(tmp_path):
    state = open_state(tmp_path / "state.sqlite")
    one = Capability("t", "n", Standing.ABSENT, "so")
    put_capabilities(state, [one], 10.0)
    put_capabilities(state, [one], 20.0)
    known = put_capabilities(state, [one], 30.0)["t", "n"]
    assert (known.since, known.checked_at) == (10.0, 20.0)
    state.close()
