"""A SageMaker endpoint by InvokeEndpoint: `sagemaker:ENDPOINT`, `…/VARIANT` or `…/ic:COMPONENT`.

Credentials come from boto3's own chain; it needs sagemaker:InvokeEndpoint on the endpoint.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from collector.replay.bodies import JSON_TYPE, Bodies
from collector.replay.options import TargetOptions, validated
from collector.replay.transport import retry_after_seconds
from nibai.config import Duration
from nibai.errors import AuthError, CollectError, ThrottledError, UsageError
from nibai.protocols import Answer, ReplayInput, Target

COMPONENT = "ic:"
CONNECTIONS = 64
THROTTLED = (
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "ModelNotReadyException",
)
NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError",
                  "SSOTokenLoadError", "UnauthorizedSSOTokenError")  # fmt: skip
EXCERPT_CHARACTERS = 160


class Options(TargetOptions):
    """What may be said about an endpoint; bodies as of an HTTP target."""

    region: str | None = None
    endpoint_url: str | None = None
    body: object = None
    answers: str | None = None
    content_type: str | None = None
    accept: str = JSON_TYPE
    target_model: str | None = None
    timeout: Duration = 60.0


def build(options: Mapping[str, object]) -> Target:
    """The target of one endpoint, variant or inference component."""
    return SageMakerTarget(validated(Options, options))


class SageMakerTarget:
    """Invokes an endpoint; a request is sent once, the replay repeats it within its budget."""

    def __init__(self, options: Options) -> None:
        # 0.4 s: only a replay to SageMaker needs it.
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415

        self._where = f"sagemaker:{options.address}"
        self._fixed = _fixed(options)
        self._bodies = Bodies(options.batch, options.body, options.answers, options.content_type)
        settings = Config(
            region_name=options.region,
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=min(options.timeout, 10.0),
            read_timeout=options.timeout,
            max_pool_connections=CONNECTIONS,
            user_agent_extra="nibai",
        )
        try:
            self._client: Any = boto3.client(
                "sagemaker-runtime", endpoint_url=options.endpoint_url, config=settings
            )
        except BotoCoreError as error:
            raise UsageError(f"{self._where}: {error} (-o region=REGION)") from error
        self._lock = threading.Lock()
        self._answered_by: str | None = None

    def send(self, inputs: Sequence[ReplayInput]) -> Sequence[Answer]:
        """One InvokeEndpoint; see `nibai.protocols.Target`."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see __init__

        body, content_type = self._bodies.encode(inputs)
        try:
            response = self._client.invoke_endpoint(
                Body=body, ContentType=content_type, **self._fixed
            )
            found = response["Body"].read()
        except ClientError as error:
            raise self._translated(error.response) from None
        except BotoCoreError as error:
            raise self._unreached(error) from None
        self._check_variant(response.get("InvokedProductionVariant"))
        return self._bodies.decode(found, response.get("ContentType", ""), len(inputs))

    def _check_variant(self, variant: str | None) -> None:
        """An endpoint that splits its traffic answers as two models: no variant to compare."""
        if variant is None or "TargetVariant" in self._fixed:
            return
        with self._lock:
            first = self._answered_by = self._answered_by or variant
        if variant != first:
            raise UsageError(
                f"{self._where}: {first} and {variant} answered in turn: name one variant, "
                f"{self._where}/{first}"
            )

    def _translated(self, response: Mapping[str, Any]) -> CollectError:
        said = response.get("Error", {})
        code, status = str(said.get("Code", "unknown")), _status(response)
        words = " ".join(str(said.get("Message", "")).split())[:EXCERPT_CHARACTERS]
        text = f"{self._where}: {code}: {words}"
        original = response.get("OriginalStatusCode")
        if code in THROTTLED or HTTPStatus.TOO_MANY_REQUESTS in {status, original}:
            headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            rest = retry_after_seconds(headers.get("retry-after"), time.time())
            return ThrottledError(text, retry_after_seconds=rest)
        if code == "ModelError":
            # The container's own answer: its server errors may pass, its refusals will not.
            again = original is None or original >= HTTPStatus.INTERNAL_SERVER_ERROR
            return CollectError(text, retryable=again, reason=f"model_{original or 'error'}")
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return AuthError(text)
        again = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return CollectError(text, retryable=again, reason=f"http_{status}")

    def _unreached(self, error: Exception) -> CollectError:
        kind = type(error).__name__
        if kind in NO_CREDENTIALS:
            return AuthError(
                f"{self._where}: no usable AWS credentials: set a profile (AWS_PROFILE) or run "
                "where a role is"
            )
        reason = "timeout" if "Timeout" in kind else "connection"
        return CollectError(f"{self._where}: {kind}", retryable=True, reason=reason)


def _fixed(options: Options) -> dict[str, str]:
    """The parameters that every request has."""
    endpoint, _, part = options.address.partition("/")
    found = {"EndpointName": endpoint, "Accept": options.accept}
    if part.startswith(COMPONENT):
        found["InferenceComponentName"] = part.removeprefix(COMPONENT)
    elif part:
        found["TargetVariant"] = part
    if options.target_model is not None:
        found["TargetModel"] = options.target_model
    return found


def _status(response: Mapping[str, Any]) -> int:
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
