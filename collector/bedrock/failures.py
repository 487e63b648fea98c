"""Failed requests of each minute: the slowest of all, because they never got an answer.

Bedrock publishes no latency of requests that it throttled or lost; left out of a distribution,
refusing requests would look like a speed-up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from collector.aws.session import Caller
from collector.bedrock.series import FAILURES, NAMESPACE, Model
from nibai.errors import CollectError
from nibai.histogram import OVERFLOW_BUCKET
from nibai.model import Observation, Provenance, SeriesKey, Window

MINUTE = 60
QUERIES_A_CALL = 500
DOLLARS_A_METRIC = 1e-5
LATENCY = "latency"

Minutes = Counter[tuple[str, str, int]]
"""Failed requests by endpoint, variant and minute."""


def failed_requests(metrics: Caller, models: Sequence[Model], window: Window) -> Minutes:
    """What failed in a window; raises CollectError and its kinds."""
    wanted = [(model, name) for model in models for name in FAILURES]
    found: Minutes = Counter()
    for first in range(0, len(wanted), QUERIES_A_CALL):
        part = wanted[first : first + QUERIES_A_CALL]
        request: dict[str, object] = {
            "MetricDataQueries": [_query(i, *one) for i, one in enumerate(part)],
            "StartTime": datetime.fromtimestamp(window.start, UTC),
            "EndTime": datetime.fromtimestamp(window.end, UTC),
            "ScanBy": "TimestampAscending",
        }
        for result in _results(metrics, request):
            if result.get("StatusCode") == "InternalError":
                raise CollectError(
                    "GetMetricData did not answer all of Bedrock's failures; asked again later",
                    retryable=True,
                    reason="internal",
                )
            model, _ = part[int(result["Id"].removeprefix("q"))]
            for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                minute = int(at.timestamp() // MINUTE)
                found[model.endpoint, model.variant, minute] += round(value)
    return +found


def dollars(models: int) -> float:
    """What asking once costs."""
    return models * len(FAILURES) * DOLLARS_A_METRIC


def with_failures(
    observed: Sequence[Observation], failed: Minutes, whole: Iterable[Model]
) -> list[Observation]:
    """The same minutes with their failed requests beyond every bucket.

    Minutes without any latency are made for models that came `whole` only.

    >>> failed = Counter({("bedrock/a/chat", "m", 7): 2})
    >>> with_failures([], failed, [Model("bedrock/a/chat", "m")])[0].errors
    2
    >>> with_failures([], failed, [])
    []
    """
    left = Counter(failed)
    found = []
    for one in observed:
        place = (one.key.endpoint, one.key.variant, one.minute)
        errors = left.pop(place, 0) if one.key.metric == LATENCY else 0
        found.append(_failing(one, errors) if errors else one)
    alone = {(one.endpoint, one.variant) for one in whole}
    return found + [
        _only_failures(*place, errors)
        for place, errors in sorted(left.items())
        if place[:2] in alone
    ]


def _failing(one: Observation, errors: int) -> Observation:
    return replace(
        one,
        buckets=np.append(one.buckets, OVERFLOW_BUCKET).astype(np.int32),
        bucket_counts=np.append(one.bucket_counts, errors).astype(np.int64),
        count=one.count + errors,
        errors=one.errors + errors,
    )


def _only_failures(endpoint: str, variant: str, minute: int, errors: int) -> Observation:
    nothing = Observation(
        SeriesKey(endpoint, variant, "", "", LATENCY),
        minute,
        np.zeros(0, dtype=np.int32),
        np.zeros(0, dtype=np.int64),
        0,
        0.0,
        float("nan"),
        float("nan"),
        provenance=Provenance.TC,
    )
    return _failing(nothing, errors)


def _results(metrics: Caller, request: dict[str, object]) -> Iterator[Mapping[str, Any]]:
    while True:
        page = metrics.call("GetMetricData", **request)
        yield from page["MetricDataResults"]
        if not page.get("NextToken"):
            return
        request = {**request, "NextToken": page["NextToken"]}


def _query(number: int, model: Model, name: str) -> dict[str, object]:
    metric = {
        "Namespace": NAMESPACE,
        "MetricName": name,
        "Dimensions": [{"Name": "ModelId", "Value": model.model_id}],
    }
    stat = {"Metric": metric, "Period": MINUTE, "Stat": "Sum"}
    return {"Id": f"q{number}", "MetricStat": stat, "ReturnData": True}
