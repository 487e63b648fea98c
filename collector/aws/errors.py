"""Error answers of AWS in nibai's words: the operation, the fact, the remedy, nothing secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nibai.errors import AuthError, CollectError, ThrottledError

THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "KmsThrottled",
        "LimitExceeded",
        "LimitExceededException",
        "OverLimit",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "TooManyRequestsException",
    }
)
DENIED = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AccessDeniedFault",
        "AuthorizationError",
        "KMS.AccessDeniedException",
        "NotAuthorized",
        "UnauthorizedOperation",
    }
)
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
REFUSED = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotSignedUp",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
SKEWED = frozenset({"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"})
NO_CREDENTIALS = frozenset(
    {
        "CredentialRetrievalError",
        "MetadataRetrievalError",
        "NoAuthTokenError",
        "NoCredentialsError",
        "PartialCredentialsError",
        "ProfileNotFound",
        "SSOError",
        "SSOTokenLoadError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
        "UnknownCredentialError",
    }
)
ODD = (KeyError, IndexError, TypeError, ValueError, AttributeError)
"""What an answer without a field, or with another kind of value, ends in where it is read."""

POLICY = "deploy/iam/nibai-read.json"
NAMED_ACTION = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)")
TOO_MANY_REQUESTS, SERVER_ERROR = 429, 500

QUERY_PREFIX = "AWS.SimpleQueueService."
"""SQS wrote its codes so, and still does where a client asks in the old way."""

# Where the permission is not called as the operation is.
ACTIONS = {
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadBucket": "s3:ListBucket",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
}


class DeniedError(AuthError):
    """The credentials are good, one permission is missing: `action` of the policy."""

    def __init__(self, message: str, action: str) -> None:
        super().__init__(message)
        self.action = action


def action(service: str, operation: str) -> str:
    """The permission that an operation needs.

    >>> action("sagemaker", "DescribeEndpoint"), action("s3", "HeadObject")
    ('sagemaker:DescribeEndpoint', 's3:GetObject')
    """
    asked = f"{service}:{operation}"
    return ACTIONS.get(asked, asked)


def translated(what: str, response: Mapping[str, Any], needed: str = "") -> CollectError:
    """An error answer (botocore's `response`) as nibai's error; `needed` is the permission."""
    code = str(response.get("Error", {}).get("Code", "unknown"))
    said = " ".join(str(response.get("Error", {}).get("Message", "")).split())[:300]
    code = code.removeprefix(QUERY_PREFIX)
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in THROTTLED or status == TOO_MANY_REQUESTS:
        return ThrottledError(f"{what}: throttled ({code}); it is asked again later")
    if code in EXPIRED:
        return AuthError(f"{what}: the credentials have expired: renew them (aws sso login)")
    if code in SKEWED or "Signature expired" in said or "Signature not yet current" in said:
        return AuthError(
            f"{what}: refused ({code}): this machine's clock is off by more than AWS accepts: set "
            f"it (NTP); {said}"
        )
    if code in DENIED:
        # AWS names it: reading an encrypted object, it is the key's that is missing.
        named = NAMED_ACTION.search(said)
        needed = named.group(1) if named else needed
        allow = f"allow {needed}, " if needed else ""
        return DeniedError(
            f"{what}: refused ({code}): {said}; {allow}see the policy in {POLICY}", needed
        )
    if code in REFUSED:
        return AuthError(f"{what}: refused ({code}): {said}; see the policy in {POLICY}")
    return CollectError(f"{what}: {code}: {said}", retryable=status >= SERVER_ERROR, reason=code)


def no_role(what: str, operation: str, response: Mapping[str, Any]) -> CollectError:
    """The error answer of whoever gives credentials (a role that is taken, single sign-on)."""
    error = translated(f"{what}: {operation} for its credentials", response)
    if not isinstance(error, DeniedError):
        return error
    said = " ".join(str(response.get("Error", {}).get("Message", "")).split())[:300]
    return AuthError(
        f"{what}: its credentials were not given: {operation} is refused: {said}: see the role "
        "that the profile names, and whom that role trusts"
    )


def unreached(what: str, error: Exception) -> CollectError:
    """What botocore raised before there was an answer that it can read."""
    kind = type(error).__name__
    if kind == "ResponseParserError":
        return CollectError(
            f"{what}: what answered is not AWS (a proxy?): its answer has no documented form",
            retryable=True,
            reason="unreached",
        )
    if kind in NO_CREDENTIALS:
        return AuthError(
            f"{what}: no usable AWS credentials: set a profile (AWS_PROFILE) or run where a role is"
        )
    if kind == "ParamValidationError":
        said = " ".join(str(error).split())[:300]
        return CollectError(f"{what}: not a valid request: {said}", reason="request")
    return CollectError(f"{what}: not reached ({kind})", retryable=True, reason="unreached")
