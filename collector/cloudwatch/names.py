"""What CloudWatch lists in the place of a series that gave nothing: a name may be mistyped.

ListMetrics tells the exact dimension sets of which there was something in the last two weeks.
Source: nibai's aws.md, sections 2.1 and 4.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from collector.cloudwatch.series import Dimensions, Series
from collector.instead import SHOWN, unknown_name

DOLLARS_PER_REQUEST = 1e-5
MOST_PAGES = 20

WORDS = {
    "EndpointName": "endpoint",
    "VariantName": "variant",
    "InferenceComponentName": "inference component",
    "ModelId": "model",
    "InstanceType": "instance type",
    "AvailabilityZone": "zone",
}

Key = tuple[str, str]

Listed = frozenset[Dimensions]
"""Dimension sets, each in the order of its names."""


class ListingClient(Protocol):
    """What is asked of CloudWatch. Raises CollectError and its kinds."""

    def list_metrics(self, **request: object) -> Mapping[str, Any]:
        """A page of metrics of which there was something lately."""
        ...


class Names:
    """Looks for series of one account and region; `requests` counts what was asked."""

    def __init__(self, client: ListingClient) -> None:
        self._client = client
        self.requests = 0

    def missing(self, several: Mapping[Key, Series]) -> dict[Key, str]:
        """Fact and remedy of each series that is not listed; `several` by name and variant."""
        alike: dict[tuple[str, str, tuple[str, ...]], Listed] = {}
        found: dict[Key, str] = {}
        for key, series in several.items():
            labels = tuple(sorted(dict(series.dimensions)))
            asked = (series.published.namespace, series.published.name, labels)
            if asked not in alike:
                alike[asked] = self._listed(*asked)
            own = tuple(sorted(series.dimensions))
            if own not in alike[asked]:
                found[key] = said(series, alike[asked], self._published(series))
        return found

    def _listed(self, namespace: str, metric: str, labels: tuple[str, ...]) -> Listed:
        """Dimension sets of a metric with exactly these names."""
        wanted = [{"Name": label} for label in labels]
        pages = self._pages(Namespace=namespace, MetricName=metric, Dimensions=wanted)
        found = {tuple(sorted((d["Name"], d["Value"]) for d in one["Dimensions"])) for one in pages}
        return frozenset(one for one in found if tuple(name for name, _ in one) == labels)

    def _published(self, series: Series) -> list[str]:
        """Metrics that are listed with the very dimensions of a series."""
        own = [{"Name": name, "Value": value} for name, value in series.dimensions]
        pages = self._pages(Namespace=series.published.namespace, Dimensions=own)
        return sorted({str(o["MetricName"]) for o in pages if len(o["Dimensions"]) == len(own)})

    def _pages(self, **request: object) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        token: str | None = None
        for _ in range(MOST_PAGES):
            self.requests += 1
            page = self._client.list_metrics(**request, **({"NextToken": token} if token else {}))
            found += page.get("Metrics", ())
            token = page.get("NextToken")
            if not token:
                break
        return found


def said(series: Series, listed: Collection[Dimensions], published: Sequence[str]) -> str:
    """What is there instead: another metric, or another value of one dimension.

    >>> from collector.cloudwatch.series import PUBLISHED, variant_series
    >>> one = variant_series(PUBLISHED[0], "1.eu-west-1", "chat", "gren")
    >>> green = (("EndpointName", "chat"), ("VariantName", "green"))
    >>> said(one, [green], []).partition(";")[0]
    "CloudWatch lists no variant 'gren' in two weeks, but green: did you mean green"
    """
    metric, own = series.published.name, dict(series.dimensions)
    if published:
        there = ", ".join(published[:SHOWN])
        return f"CloudWatch lists no {metric} of it, but {there}: leave {metric} out under metrics"
    others = [dict(one) for one in listed]
    for label in reversed(own):
        rest = {key: value for key, value in own.items() if key != label}
        beside = {one[label] for one in others if rest.items() <= one.items()}
        if beside:
            return _instead(label, own[label], beside)
    label = next(iter(own))
    return _instead(label, own[label], {one[label] for one in others})


def _instead(label: str, value: str, there: Collection[str]) -> str:
    return unknown_name("CloudWatch lists", WORDS.get(label, label), value, there, "two weeks")
