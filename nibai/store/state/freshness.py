"""Until when the pulled sources of an endpoint were read: what came later is not known."""

from __future__ import annotations

from collections.abc import Iterator

from nibai.protocols import AGAIN, UNIT
from nibai.store.state.database import State
from nibai.store.state.notes import notes

HEAD = "pull:"
CAPTURES = "data_capture"
BEDROCK = "bedrock"
FORGOTTEN_SECONDS = 3 * 86400.0
"""A series so far behind its source's others is not read any more: it was renamed or removed."""
UNREAD_SECONDS = 86400.0
FILLING_SECONDS = 2 * 3600.0
"""Captures are kept as read up to the hour from which they are listed again."""


def read_until(state: State, endpoint: str) -> tuple[str, float] | None:
    """The source of an endpoint's series that was read least far, and until when; None: no source.

    Series of CloudWatch are told by their names, captures by their source and place, those of
    others are not known by name. Series that the configuration no longer names do not count once
    the others are three days ahead.
    """
    account, name = _account_and_name(endpoint)
    found = []
    for source, series, until in _marks(state):
        captures = source == f"{CAPTURES}-{account}-{name}" and series.endswith("/")
        if account and (captures or _is_of(source, series, endpoint)):
            found.append((source, until + FILLING_SECONDS * captures))
    newest: dict[str, float] = {}
    for source, until in found:
        newest[source] = max(until, newest.get(source, until))
    read = [one for one in found if newest[one[0]] - one[1] <= FORGOTTEN_SECONDS]
    return min(read, key=lambda one: one[1], default=None)


def answers_until(state: State, endpoint: str, now: float) -> float | None:
    """Until when the answers of an endpoint are all there; None: no pulled source brings any.

    Captures and invocation logs arrive for hours. What was not read for a day is not waited for.
    """
    account, name = _account_and_name(endpoint)
    bedrock = endpoint.startswith(BEDROCK)
    source = f"{BEDROCK}-{account}" if bedrock else f"{CAPTURES}-{account}-{name}"
    found = [
        until
        for told, series, until in _marks(state)
        if account and told == source and series.startswith(("s3://", "log group "))
        if series.endswith("/") or not series.startswith("s3://")
        if until >= now - UNREAD_SECONDS
    ]
    return min(found, default=None)


def of_scope(source: str, endpoint: str) -> bool:
    """Whether a source's name has the account and region of an endpoint, as a whole word.

    >>> of_scope("cloudwatch-123456789012-eu-west-1", "sagemaker/123456789012.eu-west-1/chat")
    True
    >>> of_scope("cloudwatch-123456789012-eu-west-10", "sagemaker/123456789012.eu-west-1/chat")
    False
    """
    account = "-".join(endpoint.split("/")[1:2]).replace(".", "-")
    return bool(account) and f"-{account}-" in f"-{source}-"


def _account_and_name(endpoint: str) -> tuple[str, str]:
    scope, name = endpoint.split("/")[1:3] if endpoint.count("/") > 1 else ("", "")
    return scope.replace(".", "-"), name


def _marks(state: State) -> Iterator[tuple[str, str, float]]:
    """(source, series, until when) of everything that is kept of pulled sources."""
    with state.begin() as connection:
        known = notes(connection, HEAD)
    for name, until in known.items():
        source, _, series = name.partition(":")
        if not series.startswith((AGAIN, UNIT)):
            yield source, series, float(until)


def _is_of(source: str, series: str, endpoint: str) -> bool:
    account, name = _account_and_name(endpoint)
    same = source.startswith(BEDROCK) == endpoint.startswith(BEDROCK)
    named = f"EndpointName={name}," in f"{series},"
    return same and bool(account) and named and of_scope(source, endpoint)
