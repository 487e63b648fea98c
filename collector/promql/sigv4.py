"""Requests to CloudWatch's Prometheus API signed as AWS asks, and where that API is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from collector.aws.errors import unreached
from nibai.config.regions import domain_of
from nibai.errors import AuthError

SERVICE = "monitoring"
WHAT = "CloudWatch by PromQL"


class SigV4:
    """A signer; credentials come from boto3's own chain, and are looked for again when refused."""

    def __init__(self, region: str, credentials: Callable[[], object] | None = None) -> None:
        self._region = region
        self._ask = credentials or _own
        self._credentials: Any = None

    def __call__(self, method: str, url: str, body: bytes, /) -> Mapping[str, str]:
        """Headers of one request; raises AuthError and CollectError."""
        from botocore.auth import SigV4Auth  # noqa: PLC0415 - 0.4 s: only who asks AWS needs it
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - same
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - same

        request = AWSRequest(method=method, url=url, data=body)
        if body:
            request.headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            if self._credentials is None:
                self._credentials = self._ask()
            SigV4Auth(self._credentials, SERVICE, self._region).add_auth(request)
        except BotoCoreError as error:
            self._credentials = None
            raise unreached(WHAT, error) from None
        return dict(request.headers.items())

    def renew(self) -> None:
        """They were refused: others may lie there by the next request."""
        self._credentials = None


def address(region: str) -> str:
    """Where the API of a region is, in whatever partition.

    >>> address("cn-north-1")
    'https://monitoring.cn-north-1.amazonaws.com.cn'
    """
    return f"https://{SERVICE}.{region}.{domain_of(region)}"


def _own() -> object:
    import boto3  # noqa: PLC0415 - 0.4 s: only a process that asks AWS needs it

    found = boto3.Session().get_credentials()
    if found is None:
        raise AuthError(
            f"{WHAT}: no AWS credentials: set a profile (AWS_PROFILE) or run where a role is"
        )
    return found
