"""The unit in which a metric is published, asked once before it is read.

GetMetricData tells no unit, so units come from documents; one that is wrong would make every figure
a thousand times too large. GetMetricStatistics tells it. Source: nibai's aws.md, section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from collector.aws.errors import DeniedError
from collector.cloudwatch.cadence import Due
from collector.cloudwatch.ranges import Ranges
from collector.cloudwatch.series import Kind, Published, Series
from nibai.errors import AuthError, CollectError
from nibai.model import Window
from nibai.protocols import UNIT, Pulled

DOLLARS_PER_REQUEST = 1e-5
BACK_SECONDS = 15 * 86_400.0
PERIOD_SECONDS = 86_400
NAMES = {1e6: "Microseconds", 1e3: "Milliseconds", 1.0: "Seconds"}
PERCENT = "Percent"


class StatisticsClient(Protocol):
    """What is asked of CloudWatch. Raises CollectError and its kinds."""

    def get_metric_statistics(self, **request: object) -> Mapping[str, Any]:
        """Datapoints with their units."""
        ...


class Units:
    """Units of one source; what is known already is told by its marks."""

    def __init__(self, client: StatisticsClient, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._wrong: set[Published] = set()

    @staticmethod
    def unknown(ready: Sequence[Due], read_until: Mapping[str, float]) -> list[Published]:
        """Metrics but counts whose unit nobody asked for yet, each once."""
        found = dict.fromkeys(one.wanted.series.published for one in ready)
        return [one for one in found if one.kind is not Kind.COUNT and mark(one) not in read_until]

    def ask(
        self, ready: Sequence[Due], read_until: Mapping[str, float], ranges: Ranges
    ) -> Iterator[Pulled]:
        """One question a metric, about a series that has something; marks of what is settled.

        A unit that is not what nibai takes it for is a problem, and `readable` leaves it out.
        """
        self._wrong.clear()
        for published in self.unknown(ready, read_until):
            several = [
                one.wanted.series for one in ready if one.wanted.series.published == published
            ]
            known = [one for one in several if (one.endpoint, published.metric) in ranges]
            # What is paid for already (ranges) would be wasted by whoever stopped here.
            yield replace(self._one(published, (known or several)[0]), settled=False)

    def readable(self, ready: Sequence[Due]) -> list[Due]:
        """Without the metrics whose unit is another one."""
        return [one for one in ready if one.wanted.series.published not in self._wrong]

    def _one(self, published: Published, series: Series) -> Pulled:
        now = self._clock()
        window = Window(now - BACK_SECONDS, now)
        asked = f"{published.namespace} {published.name}"
        try:
            units = self._told(series, window)
        except DeniedError as error:
            note = f"units taken as documented: {error.action} is refused, allow it"
            return Pulled((), window, {}, 0.0, {note: 1})
        except AuthError:
            raise
        except CollectError as error:
            return Pulled((), window, {}, 0.0, {f"units not checked now ({error})": 1})
        expected = PERCENT if published.kind is Kind.GAUGE else NAMES[published.units_per_base]
        if units - {expected}:
            self._wrong.add(published)
            said = ", ".join(sorted(units))
            problem = (
                f"{asked}: CloudWatch says {said} where nibai reads {expected}: nothing of it is "
                "read; leave it out (metrics in nibai.yaml) and report it with what "
                "nibai doctor --save-fixtures FOLDER saves"
            )
            return Pulled((), window, {}, DOLLARS_PER_REQUEST, {}, problems=(problem,))
        marks = {mark(published): now} if units else {}
        return Pulled((), window, marks, DOLLARS_PER_REQUEST, {})

    def _told(self, series: Series, window: Window) -> set[str]:
        answer = self._client.get_metric_statistics(
            Namespace=series.published.namespace,
            MetricName=series.published.name,
            Dimensions=[{"Name": name, "Value": value} for name, value in series.dimensions],
            StartTime=datetime.fromtimestamp(window.start, UTC),
            EndTime=datetime.fromtimestamp(window.end, UTC),
            Period=PERIOD_SECONDS,
            Statistics=["SampleCount"],
        )
        return {str(one["Unit"]) for one in answer.get("Datapoints", ()) if "Unit" in one}


def mark(published: Published) -> str:
    """Under which name it is kept that a metric's unit was asked for."""
    return f"{UNIT}{published.namespace}/{published.name}"
