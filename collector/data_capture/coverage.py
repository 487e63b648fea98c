"""How many answers there should be: Invocations of each hour, times the share that is captured.

Data Capture stops at high disk usage, under load that is: what is missing is not missing at random.
https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from collector.aws.session import Caller
from collector.cloudwatch.series import SAGEMAKER, Kind, Published, variant_series
from collector.cloudwatch.sums import whole_sums
from nibai.model import ExpectedAnswers, Window

HOUR = 3600
QUERIES_A_CALL = 500
DOLLARS_A_METRIC = 1e-5
INVOCATIONS = Published(SAGEMAKER, "Invocations", "invocations", Kind.COUNT)


@dataclass(frozen=True, slots=True)
class Captured:
    """A variant whose requests are captured at a share (0 to 1) of its traffic."""

    endpoint: str
    name: str
    variant: str
    share: float


def expected_answers(
    metrics: Caller, captured: Sequence[Captured], window: Window
) -> Iterator[ExpectedAnswers]:
    """One for every hour with requests of every variant; raises CollectError and its kinds."""
    for first in range(0, len(captured), QUERIES_A_CALL):
        part = captured[first : first + QUERIES_A_CALL]
        request: dict[str, object] = {
            "MetricDataQueries": [_query(i, one) for i, one in enumerate(part)],
            "StartTime": datetime.fromtimestamp(window.start, UTC),
            "EndTime": datetime.fromtimestamp(window.end, UTC),
            "ScanBy": "TimestampAscending",
        }
        for one, sums in zip(part, whole_sums(metrics, request), strict=True):
            for at, value in sums:
                yield ExpectedAnswers(one.endpoint, one.variant, at, round(value), one.share)


def dollars(variants: int) -> float:
    """What asking once costs: one statistic of one metric each."""
    return variants * DOLLARS_A_METRIC


def _query(number: int, one: Captured) -> dict[str, object]:
    series = variant_series(INVOCATIONS, "", one.name, one.variant)
    metric = {
        "Namespace": INVOCATIONS.namespace,
        "MetricName": INVOCATIONS.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in series.dimensions],
    }
    stat = {"Metric": metric, "Period": HOUR, "Stat": "Sum"}
    return {"Id": f"q{number}", "MetricStat": stat, "ReturnData": True}
