"""Counts of GetMetricData that are worth nothing in part: every query whole, or an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from collector.aws.session import Caller, each_page
from nibai.errors import CollectError, SchemaError

COMPLETE, FAILED = "Complete", "InternalError"

Sums = list[list[tuple[float, float]]]
"""Of each query, in the order of the request: (seconds since the epoch, value) of its periods."""


def whole_sums(metrics: Caller, request: Mapping[str, Any]) -> Sums:
    """The answer to all queries of a request (ids q0, q1, …); raises CollectError and its kinds.

    A query is whole when the last page that has it says so: earlier ones are PartialData.
    """
    count = len(request["MetricDataQueries"])
    found: Sums = [[] for _ in range(count)]
    status = ["nothing"] * count
    for page in each_page(metrics, "GetMetricData", **request):
        for result in page.get("MetricDataResults", ()):
            number = str(result["Id"]).removeprefix("q")
            if not number.isdigit() or int(number) >= count:
                raise SchemaError(
                    f"GetMetricData answered an Id that was not asked: {result['Id']!r}"
                )
            told = zip(result["Timestamps"], result["Values"], strict=True)
            found[int(number)] += [(at.timestamp(), float(value)) for at, value in told]
            failed = status[int(number)] == FAILED
            status[int(number)] = FAILED if failed else str(result.get("StatusCode", COMPLETE))
    lacking = sorted({one for one in status if one != COMPLETE})
    if lacking:
        raise CollectError(
            f"cloudwatch:GetMetricData answered {', '.join(lacking)} of {count} counts; they are "
            "asked again later",
            retryable=True,
            reason="partial",
        )
    return found
