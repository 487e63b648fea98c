"""Answers and refusals of AWS as errors that say what to do; credentials that are renewed."""

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from collector.aws import session
from collector.aws.errors import DeniedError, translated
from collector.aws.session import AwsClient, pages
from nibai.config import Config
from nibai.errors import AuthError, CollectError, ConfigError, ThrottledError


class Session:
    """A session that makes clients whose one operation answers as told, one answer a call."""

    def __init__(self, *answers):
        self.answers, self.made, self.renewed = list(answers), 0, 0

    def __call__(self):
        return self

    def cache_clear(self):
        self.renewed += 1

    def client(self, *_, **__):
        self.made += 1
        return self

    def describe_endpoint(self, **_):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def refused(code, message="", *, status=400, operation="DescribeEndpoint"):
    told = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(told, operation)


@pytest.fixture
def asked(monkeypatch):
    def made(*answers):
        stub = Session(*answers)
        monkeypatch.setattr(session, "_session", stub)
        return stub, AwsClient("sagemaker", "eu-west-1")

    return made


@pytest.mark.parametrize(
    ("code", "status", "kind", "retryable"),
    [
        ("ThrottledException", 429, ThrottledError, True),
        ("LimitExceededException", 400, ThrottledError, True),
        ("AWS.SimpleQueueService.OverLimit", 403, ThrottledError, True),
        ("Anything", 429, ThrottledError, True),
        ("InternalFailure", 500, CollectError, True),
        ("ServiceUnavailable", 503, CollectError, True),
        ("ValidationException", 400, CollectError, False),
        ("KMS.AccessDeniedException", 400, DeniedError, False),
        ("ExpiredTokenException", 400, AuthError, False),
        ("TokenRefreshRequired", 400, AuthError, False),
        ("InvalidAccessKeyId", 403, AuthError, False),
        ("InvalidSignatureException", 403, AuthError, False),
        ("OptInRequired", 403, AuthError, False),
    ],
)
def test_codes_of_several_services_are_told_apart(code, status, kind, retryable):
    error = translated("it", refused(code, "said so", status=status).response)
    assert (type(error), error.retryable) == (kind, retryable)


def test_renewed_credentials_count_without_a_restart(asked):
    stub, client = asked(refused("ExpiredTokenException"), {"EndpointName": "chat"}, {})
    with pytest.raises(AuthError, match="have expired: renew them"):
        client.call("DescribeEndpoint", EndpointName="chat")
    assert client.call("DescribeEndpoint", EndpointName="chat") == {"EndpointName": "chat"}
    assert (stub.made, stub.renewed) == (2, 1)
    client.call("DescribeEndpoint", EndpointName="chat")
    assert stub.made == 2


def test_a_missing_permission_is_no_reason_to_look_for_other_credentials(asked):
    stub, client = asked(refused("AccessDeniedException", "no"), {})
    with pytest.raises(DeniedError) as caught:
        client.call("DescribeEndpoint", EndpointName="chat")
    assert caught.value.action == "sagemaker:DescribeEndpoint"
    client.call("DescribeEndpoint", EndpointName="chat")
    assert (stub.made, stub.renewed) == (1, 0)


def test_the_permission_that_aws_names_is_the_one_that_is_missing():
    said = "User: arn:x is not authorized to perform: kms:Decrypt on the resource because no policy"
    for message, action in ((said, "kms:Decrypt"), ("Access Denied", "s3:GetObject")):
        error = translated("it", refused("AccessDenied", message).response, "s3:GetObject")
        assert error.action == action
        assert f"allow {action}, see the policy" in str(error)


def test_a_role_that_cannot_be_taken_is_not_blamed_on_the_operation(asked):
    said = "User is not authorized to perform: sts:AssumeRole"
    _, client = asked(refused("AccessDenied", said, operation="AssumeRole"))
    with pytest.raises(AuthError) as caught:
        client.call("DescribeEndpoint", EndpointName="chat")
    assert not isinstance(caught.value, DeniedError)
    assert str(caught.value) == (
        "sagemaker:DescribeEndpoint in eu-west-1: its credentials were not given: AssumeRole is "
        f"refused: {said}: see the role that the profile names, and whom that role trusts"
    )


def test_a_page_of_a_proxy_is_no_traceback(asked):
    _, client = asked(ResponseParserError("<html>"))
    with pytest.raises(CollectError, match=r"not AWS \(a proxy\?\)") as caught:
        client.call("DescribeEndpoint", EndpointName="chat")
    assert caught.value.retryable


def test_an_operation_that_an_old_boto3_does_not_know_is_told(asked):
    _, client = asked()
    with pytest.raises(CollectError, match="does not know it: update boto3") as caught:
        client.call("ListAIBenchmarkJobs")
    assert not caught.value.retryable


def test_a_profile_that_is_not_there_is_told_at_the_first_question(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody-has-this")
    session._session.cache_clear()
    client = AwsClient("sagemaker", "eu-west-1")
    with pytest.raises(AuthError, match=r"no usable AWS credentials: set a profile"):
        client.call("DescribeEndpoint", EndpointName="chat")
    session._session.cache_clear()


def test_pages_that_go_round_in_circles_end():
    class Circle:
        def call(self, _operation, **request):
            return {"Items": [request.get("NextToken")], "NextToken": "again"}

    with pytest.raises(CollectError, match="the same page again"):
        list(pages(Circle(), "ListThings", "Items"))


@pytest.mark.parametrize(
    ("region", "good"),
    [
        ("eu-west-1", True), ("cn-north-1", True), ("us-gov-west-1", True),
        ("eusc-de-east-1", True),
        ("us-iso-east-1", True), ("eu-west", False), ("EU-WEST-1", False),
        ("eu-west-1/../x", False),
    ],
)  # fmt: skip
def test_regions_of_every_partition_are_ones(region, good):
    section = {"account": "123456789012", "region": region}
    if good:
        assert Config.model_validate({"sagemaker": [section]}).sagemaker[0].region == region
    else:
        with pytest.raises((ConfigError, ValueError), match="region"):
            Config.model_validate({"sagemaker": [section]})
