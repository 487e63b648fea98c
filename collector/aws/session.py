"""One service of one region through boto3: operations by their API names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Protocol

from collector.aws.errors import DeniedError, action, no_role, translated, unreached
from nibai.errors import AuthError, CollectError

TRIES = 3

_MAKING = threading.Lock()
"""Clients may be used by several threads; boto3 does not want them made by several at once."""


class Caller(Protocol):
    """A service that is asked by operation; AwsClient is one, tests may pass another."""

    def call(self, operation: str, **request: object) -> Mapping[str, Any]:
        """One answer; raises CollectError and its kinds."""
        ...


class AwsClient:
    """The operations of a service; credentials come from boto3's own chain.

    `endpoint_url` is for tests and private endpoints. `options` go to botocore's Config.
    """

    def __init__(
        self,
        service: str,
        region: str,
        *,
        endpoint_url: str | None = None,
        tries: int = TRIES,
        **options: object,
    ) -> None:
        self.service = service
        self.region = region
        self._endpoint_url = endpoint_url
        self._settings = {
            "region_name": region,
            # Not "adaptive": how fast to ask is planned by the callers, for all of the process.
            "retries": {"mode": "standard", "total_max_attempts": tries},
            "user_agent_extra": "nibai",
            **options,
        }
        self._heeded: list[tuple[str, Callable[..., None]]] = []
        self._client: Any = None

    def heed(self, event: str, handler: Callable[..., None]) -> None:
        """Have a handler called at an event of botocore."""
        self._heeded.append((event, handler))

    def call(self, operation: str, **request: object) -> Mapping[str, Any]:
        """One answer of an operation such as "DescribeEndpoint"; raises CollectError, its kinds.

        A missing permission is a DeniedError that names it. Credentials that are refused are looked
        for anew at the next call: renewed ones count without a restart.
        """
        try:
            return self._answered(operation, request)
        except AuthError as error:
            if not isinstance(error, DeniedError):
                self._client = None
                _session.cache_clear()
            raise

    def _answered(self, operation: str, request: Mapping[str, object]) -> Mapping[str, Any]:
        from botocore import xform_name  # noqa: PLC0415 - see _session
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see _session
        from botocore.parsers import ResponseParserError  # noqa: PLC0415 - see _session

        what = f"{self.service}:{operation} in {self.region}"
        try:
            method = getattr(self._made(), xform_name(operation), None)
            if method is None:
                raise CollectError(
                    f"{what}: the installed botocore does not know it: update boto3",
                    reason="operation",
                )
            found: Mapping[str, Any] = method(**request)
        except ClientError as error:
            if error.operation_name != operation:
                raise no_role(what, error.operation_name, error.response) from None
            raise translated(what, error.response, action(self.service, operation)) from None
        except (BotoCoreError, ResponseParserError) as error:
            raise unreached(what, error) from None
        return found

    def _made(self) -> Any:  # noqa: ANN401 - boto3 has no types
        from botocore.config import Config  # noqa: PLC0415 - see _session

        # One variable: another thread may drop the client at any moment.
        client = self._client
        if client is not None:
            return client
        with _MAKING:
            client = self._client
            if client is None:
                settings = Config(**self._settings)
                client = _session().client(
                    self.service, endpoint_url=self._endpoint_url, config=settings
                )
                for event, handler in self._heeded:
                    client.meta.events.register(event, handler)
                self._client = client
            return client


@cache
def _session() -> Any:  # noqa: ANN401 - boto3 has no types
    # 0.4 s: only a process that asks AWS needs it.
    import boto3  # noqa: PLC0415
    import botocore.session  # noqa: PLC0415

    core = botocore.session.get_session()
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
    return boto3.Session(botocore_session=core)


def _moment(value: object) -> datetime:
    """A time of an answer; botocore's own way takes 38 µs for a number, this one 2 µs."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    from botocore.utils import parse_timestamp  # noqa: PLC0415 - see _session

    found: datetime = parse_timestamp(value)
    return found


def pages(
    caller: Caller, operation: str, items: str, **request: object
) -> Iterator[Mapping[str, Any]]:
    """Every item of a list that is paged by NextToken, page by page."""
    for page in each_page(caller, operation, **request):
        yield from page.get(items, ())


def each_page(caller: Caller, operation: str, **request: object) -> Iterator[Mapping[str, Any]]:
    """The pages of an answer; CollectError where it goes round in circles."""
    token: str | None = None
    while True:
        page = caller.call(operation, **request, **({"NextToken": token} if token else {}))
        yield page
        before, token = token, page.get("NextToken")
        if not token:
            return
        if token == before:
            raise CollectError(
                f"{operation}: the next page is the same page again: asked again later",
                retryable=True,
                reason="paging",
            )
