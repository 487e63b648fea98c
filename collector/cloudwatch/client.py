"""CloudWatch through boto3; what it answers and raises is nibai's from here on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nibai.errors import AuthError, CollectError, ThrottledError

THROTTLED = frozenset(
    {"Throttling", "ThrottlingException", "TooManyRequestsException", "LimitExceeded"}
)
REFUSED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "MissingAuthenticationToken",
    }
)
Method = Callable[..., Mapping[str, Any]]

SERVER_ERROR = 500
TRIES = 3


class CloudWatchClient:
    """The operations that are used, of one region; credentials come from boto3's own chain.

    `endpoint_url` is for tests and private endpoints.
    """

    def __init__(self, region: str, *, endpoint_url: str | None = None, tries: int = TRIES) -> None:
        # 0.4 s: only a process that asks AWS needs it.
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        settings = Config(
            region_name=region,
            # Not "adaptive": how fast to ask is planned in `pace`, for all clients of the process.
            retries={"mode": "standard", "total_max_attempts": tries},
            user_agent_extra="nibai",
        )
        self._region = region
        self._client: Any = boto3.client("cloudwatch", endpoint_url=endpoint_url, config=settings)

    def get_metric_data(self, **request: object) -> Mapping[str, Any]:
        """One page; raises CollectError and its kinds."""
        return self._call("GetMetricData", self._client.get_metric_data, request)

    def _call(
        self, operation: str, method: Method, request: Mapping[str, object]
    ) -> Mapping[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see __init__

        try:
            return method(**request)
        except ClientError as error:
            raise _translated(f"cloudwatch:{operation} in {self._region}", error.response) from None
        except BotoCoreError as error:
            raise _unreached(f"cloudwatch:{operation} in {self._region}", error) from None


def _translated(what: str, response: Mapping[str, Any]) -> CollectError:
    """An error answer in nibai's words; it holds no credentials, only what the service said."""
    code = str(response.get("Error", {}).get("Code", "unknown"))
    said = " ".join(str(response.get("Error", {}).get("Message", "")).split())[:300]
    if code in THROTTLED:
        return ThrottledError(f"{what}: throttled ({code}); it is asked again later")
    if code.startswith("Expired"):
        return AuthError(f"{what}: the credentials have expired: renew them (aws sso login)")
    if code in REFUSED:
        return AuthError(
            f"{what}: refused ({code}): {said}; see the policy in deploy/iam/nibai-read.json"
        )
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return CollectError(f"{what}: {code}: {said}", retryable=status >= SERVER_ERROR, reason=code)


def _unreached(what: str, error: Exception) -> CollectError:
    kind = type(error).__name__
    if kind in {"NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError"}:
        return AuthError(
            f"{what}: no usable AWS credentials: set a profile (AWS_PROFILE) or run where a role is"
        )
    return CollectError(f"{what}: not reached ({kind})", retryable=True, reason="unreached")
