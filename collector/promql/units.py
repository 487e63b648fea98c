"""The unit in which a server keeps a metric, asked before it is read for the first time.

A label may tell it (`__unit__`, of OpenTelemetry metrics); what CloudWatch keeps is held against
the classic metric of the same requests otherwise, whose unit AWS tells: a wrong one is off by a
thousand, and by nothing less. Source: nibai's aws.md, sections 2 and 3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from collector.cloudwatch.series import PUBLISHED, SAGEMAKER, variant_series
from collector.promql.aliases import VENDED
from collector.promql.client import PromqlClient
from collector.promql.selectors import selector
from collector.promql.wanted import Found, Kind, Wanted
from nibai.errors import CollectError
from nibai.histogram import OVERFLOW_BUCKET
from nibai.model import Observation, Window
from nibai.protocols import UNIT

LABEL = "__unit__"
SECONDS = {
    "s": 1.0, "seconds": 1.0, "ms": 1e-3, "milliseconds": 1e-3,
    "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "microseconds": 1e-6, "ns": 1e-9, "nanoseconds": 1e-9,
}  # fmt: skip
"""Units of time as UCUM and CloudWatch write them, in lower case."""

FAR = 30.0
"""Means of the same requests that are so many times apart are of two units."""

DOLLARS_PER_REQUEST = 1e-5
PERIOD_SECONDS = 3600
REMEDY = (
    "nothing of it is read; leave it out (metrics in nibai.yaml) and report it with what nibai "
    "doctor --save-fixtures FOLDER saves"
)


class StatisticsClient(Protocol):
    """What is asked of CloudWatch. Raises CollectError and its kinds."""

    def get_metric_statistics(self, **request: object) -> Mapping[str, Any]:
        """Datapoints with their units."""
        ...


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a unit is settled, what is wrong with it, what could not be asked, and the price."""

    settled: bool
    problem: str = ""
    note: str = ""
    dollars: float = 0.0


class Units:
    """Units of one server; `classic` None: nothing to hold them against."""

    def __init__(self, client: PromqlClient, classic: StatisticsClient | None = None) -> None:
        self._client = client
        self._classic = classic

    def check(self, found: Found, observed: Sequence[Observation], window: Window) -> Checked:
        """What is known of a metric's unit, of which a window was read."""
        wanted = found.wanted
        if wanted.kind is not Kind.HISTOGRAM:
            return Checked(settled=True)
        told = self._labelled(found, window)
        if told:
            wrong = sorted(unit for unit in told if SECONDS[unit.lower()] != wanted.factor)
            said = f"PromQL: {found.name} is in {', '.join(wrong)} by its label {LABEL}"
            problem = f"{said} where nibai reads {_unit(wanted.factor)}: {REMEDY}"
            return Checked(settled=not wrong, problem=problem if wrong else "")
        name = _vended(wanted)
        if self._classic is None or name is None:
            return Checked(settled=True)  # its name says it, or whoever configured it
        return self._beside(self._classic, name, wanted, observed, window)

    def _labelled(self, found: Found, window: Window) -> set[str]:
        """Units of time that labels tell; others say nothing that could be compared."""
        chosen = selector(found.name, found.wanted.matchers, found.wanted.more)
        told = self._client.label_values(LABEL, chosen, window)
        return {unit for unit in told if unit.lower() in SECONDS}

    @staticmethod
    def _beside(
        classic: StatisticsClient,
        name: str,
        wanted: Wanted,
        observed: Sequence[Observation],
        window: Window,
    ) -> Checked:
        """Held against the classic metric of the variant with most requests."""
        variant, own = _mean(observed)
        if not own:
            return Checked(settled=False)
        endpoint = observed[0].key.endpoint
        try:
            other, unit = _classic_mean(classic, name, endpoint, variant, window)
        except CollectError as error:
            said = f"PromQL: units of {name} taken as documented, not compared now ({error})"
            return Checked(settled=False, note=said)
        if not other:
            said = f"PromQL: units of {name} taken as documented: nothing to compare them with"
            return Checked(settled=False, note=said, dollars=DOLLARS_PER_REQUEST)
        if 1 / FAR < own / other < FAR:
            return Checked(settled=True, dollars=DOLLARS_PER_REQUEST)
        problem = (
            f"PromQL: {name} of {endpoint} {variant} averages {own:.3g} s where the classic metric "
            f"says {other:.3g} s (in {unit}): it is kept in another unit than "
            f"{_unit(wanted.factor)}: {REMEDY}"
        )
        return Checked(settled=False, problem=problem, dollars=DOLLARS_PER_REQUEST)


def unit_mark(series: str) -> str:
    """Under which name it is kept that a metric's unit was settled."""
    return f"{UNIT}{series}"


def _vended(wanted: Wanted) -> str | None:
    """The name that the same requests have among the classic metrics."""
    names = [name for name in VENDED if wanted.names[0].startswith(name)]
    return max(names, key=len, default=None)


def _mean(observed: Sequence[Observation]) -> tuple[str, float]:
    """The variant with most requests that did not fail, and their mean (seconds); 0 without any."""
    totals: dict[str, tuple[int, float]] = {}
    for one in observed:
        count, total = totals.get(one.key.variant, (0, 0.0))
        served = one.count - int(one.bucket_counts[one.buckets == OVERFLOW_BUCKET].sum())
        if math.isfinite(one.sum):
            totals[one.key.variant] = count + served, total + one.sum
    variant = max(totals, key=lambda name: totals[name][0], default="")
    count, total = totals.get(variant, (0, 0.0))
    return variant, total / count if count else 0.0


def _classic_mean(
    classic: StatisticsClient, name: str, endpoint: str, variant: str, window: Window
) -> tuple[float, str]:
    """Mean (seconds) of the classic metric, and its unit; 0 where it has nothing to say."""
    published = next(one for one in PUBLISHED if (one.namespace, one.name) == (SAGEMAKER, name))
    _, scope, called = endpoint.split("/", 2)
    series = variant_series(published, scope, called, variant)
    answer = classic.get_metric_statistics(
        Namespace=SAGEMAKER,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in series.dimensions],
        StartTime=datetime.fromtimestamp(math.floor(window.start / 3600) * 3600, UTC),
        EndTime=datetime.fromtimestamp(math.ceil(window.end / 3600) * 3600, UTC),
        Period=PERIOD_SECONDS,
        Statistics=["Sum", "SampleCount"],
    )
    points = [one for one in answer.get("Datapoints", ()) if one.get("SampleCount")]
    units = {str(one.get("Unit", "")) for one in points}
    if len(units) != 1 or (unit := units.pop()).lower() not in SECONDS:
        return 0.0, ""
    total, count = (sum(float(one[key]) for one in points) for key in ("Sum", "SampleCount"))
    return total / count * SECONDS[unit.lower()], unit


def _unit(factor: float) -> str:
    return {1.0: "seconds", 1e-3: "milliseconds", 1e-6: "microseconds"}.get(factor, f"{factor} s")
