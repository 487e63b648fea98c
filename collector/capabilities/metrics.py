"""What CloudWatch's classic metrics give of one variant: its busiest hour, asked in detail.

Points 2 and 4 to 10 of what no document settles. Source: nibai's aws.md, sections 4, 5 and 16.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from collector.aws.session import Caller
from collector.capabilities.asking import Judged, Services, asked
from collector.cloudwatch.grid import Grid
from collector.cloudwatch.plan import DOLLARS_PER_BILLED_METRIC
from collector.cloudwatch.series import PUBLISHED, variant_series
from collector.sagemaker.snapshot import Snapshot, Unit
from nibai.protocols import Capability, Standing

READS = 7
DOLLARS = 6 * DOLLARS_PER_BILLED_METRIC + 4 * 1e-5
"""Three GetMetricData calls of at most six billed metrics, four requests at list price."""

HOUR, DAY = 3600.0, 86400.0
SCALE = 3
AROUND = 8
ENOUGH = 1000
COMB = 3
NAMESPACE = "AWS/SageMaker"
NUMBERS = {
    2: "trimmed counts of ModelLatency add up",
    4: "an empty bucket is 0",
    5: "bins of CloudWatch's own show in fine buckets",
    6: "percentiles of ModelLatency",
    7: "how fast minutes are published",
}
Answer = Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Hour:
    """A busy hour: requests, median and maximum in CloudWatch's own unit (microseconds)."""

    start: float
    count: float
    median: float | None
    high: float


class VariantMetrics:
    """Asks about one variant or component of an endpoint; `now` is given."""

    def __init__(self, services: Services, snapshot: Snapshot, unit: Unit, now: float) -> None:
        self._services = services
        self._snapshot = snapshot
        series = variant_series(PUBLISHED[0], "", snapshot.name, unit.name)
        self._dimensions = [{"Name": name, "Value": value} for name, value in series.dimensions]
        self._unit = unit
        self._now = now
        self._topic = f"endpoint {snapshot.name}, {unit.name}"

    def capabilities(self) -> Iterator[Capability]:
        """Whether there is traffic, then the points."""
        hours: list[Hour] = []

        def traffic() -> Judged:
            hours.extend(self._hours())
            if not hours:
                return Standing.ABSENT, "no ModelLatency in the last 24 hours: is there traffic?"
            requests = sum(hour.count for hour in hours)
            said = f"{requests:,.0f} requests in 24 hours; in buckets 9 % wide about $0.17 a month"
            return Standing.PRESENT, f"{said} and latency, read hourly"

        yield asked(self._topic, "classic metrics", traffic)
        if hours:
            yield from self._in_detail(max(hours, key=lambda hour: hour.count))
        else:
            for number, name in NUMBERS.items():
                said = "needs an hour with requests"
                yield Capability(self._topic, name, Standing.UNKNOWN, said, "", number)
        yield from self._published()

    # -- one busy hour --------------------------------------------------------------------
    def _in_detail(self, hour: Hour) -> Iterator[Capability]:
        found: dict[str, float] = {}

        def counts() -> Judged:
            found.update(self._counts(hour))
            return trimmed(hour, found)

        yield asked(self._topic, NUMBERS[2], counts, number=2)
        yield asked(self._topic, NUMBERS[4], lambda: empty(found), number=4)
        yield asked(self._topic, NUMBERS[5], lambda: comb(hour, found), number=5)
        yield asked(self._topic, NUMBERS[6], lambda: percentiles(hour), number=6)
        yield asked(self._topic, NUMBERS[7], self._newest, number=7)

    def _hours(self) -> list[Hour]:
        end = self._now // HOUR * HOUR
        answer = self._ask(["SampleCount", "p50", "Maximum"], HOUR, end - DAY, end)
        medians, highs = dict(answer["p50"]), dict(answer["Maximum"])
        return [
            Hour(start, count, medians.get(start), highs.get(start, 0.0))
            for start, count in answer["SampleCount"]
            if count
        ]

    def _counts(self, hour: Hour) -> dict[str, float]:
        """Trimmed counts below and above the median, far above everything, and around it."""
        x = f"{hour.median or hour.high:.12g}"
        far = f"TC({4 * hour.high:.12g}:)"
        asked_for = [f"TC(:{x})", f"TC({x}:)", far, *around(hour)]
        answer = self._ask(asked_for, HOUR, hour.start, hour.start + HOUR)
        found = {name: points[0][1] for name, points in answer.items() if points}
        named = {"below": f"TC(:{x})", "above": f"TC({x}:)", "far": far}
        return {**found, **{key: found[name] for key, name in named.items() if name in found}}

    def _newest(self) -> Judged:
        end = self._now // 60 * 60
        points = self._ask(["SampleCount"], 60.0, end - 900, end)["SampleCount"]
        if not points:
            return Standing.UNKNOWN, "no request in the last 15 minutes"
        age = self._now - max(start for start, _ in points) - 60
        return Standing.PRESENT, f"the newest minute ended {max(age, 0) / 60:.0f} min ago"

    # -- what is published ----------------------------------------------------------------
    def _published(self) -> Iterator[Capability]:
        yield asked(self._topic, "by zone and instance type", self._by_type, number=8)
        yield asked(self._topic, "unit of FirstChunkLatency", self._first_chunk, number=9)
        if any(path.startswith("config.ServerlessConfig") for path in self._unit.capacity):
            yield asked(self._topic, "serverless concurrency", self._serverless, number=10)

    def _by_type(self) -> Judged:
        wanted = [*self._dimensions, {"Name": "AvailabilityZone"}, {"Name": "InstanceType"}]
        listed = self._listed("ModelLatency", wanted)
        enhanced = self._snapshot.context.get("MetricsConfig.EnableEnhancedMetrics", "not set")
        if listed:
            return Standing.PRESENT, f"{len(listed)} series (EnableEnhancedMetrics {enhanced})"
        return Standing.ABSENT, f"no series (EnableEnhancedMetrics {enhanced})"

    def _first_chunk(self) -> Judged:
        answer = self._services("cloudwatch").call(
            "GetMetricStatistics", Namespace=NAMESPACE, MetricName="FirstChunkLatency",
            Dimensions=self._dimensions, StartTime=moment(self._now - DAY),
            EndTime=moment(self._now), Period=int(HOUR), Statistics=["SampleCount"],
        )  # fmt: skip
        units = sorted({str(one.get("Unit", "")) for one in answer.get("Datapoints", ())})
        if not units:
            return Standing.UNKNOWN, "nothing was streamed in the last 24 hours"
        if units == ["Microseconds"]:
            return Standing.PRESENT, "microseconds, as nibai reads it"
        return Standing.ABSENT, f"{', '.join(units)}, where nibai takes microseconds: report this"

    def _serverless(self) -> Judged:
        listed = self._listed("ServerlessConcurrentExecutionsUtilization", self._dimensions)
        return (Standing.PRESENT if listed else Standing.ABSENT), f"{len(listed)} series"

    def _listed(self, name: str, dimensions: list[dict[str, str]]) -> Sequence[object]:
        caller: Caller = self._services("cloudwatch")
        answer = caller.call(
            "ListMetrics", Namespace=NAMESPACE, MetricName=name, Dimensions=dimensions
        )
        found: Sequence[object] = answer.get("Metrics", ())
        return found

    def _ask(self, statistics: Sequence[str], period: float, start: float, end: float) -> Answer:
        metric = {
            "Namespace": NAMESPACE, "MetricName": "ModelLatency", "Dimensions": self._dimensions,
        }  # fmt: skip
        queries = [
            {"Id": f"q{i}", "MetricStat": {"Metric": metric, "Period": int(period), "Stat": name}}
            for i, name in enumerate(statistics)
        ]
        answer = self._services("cloudwatch").call(
            "GetMetricData", MetricDataQueries=queries, StartTime=moment(start),
            EndTime=moment(end), ScanBy="TimestampAscending",
        )  # fmt: skip
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in statistics}
        for one in answer["MetricDataResults"]:
            pairs = zip(one["Timestamps"], one["Values"], strict=True)
            found[statistics[int(one["Id"][1:])]] += [(t.timestamp(), v) for t, v in pairs]
        return found


def around(hour: Hour) -> list[str]:
    """Sixteen buckets 9 % wide around the median, as they are bought for histograms."""
    middle = Grid.over((hour.median or hour.high) / 1e6, (hour.median or hour.high) / 1e6, SCALE)
    grid = Grid(SCALE, middle.first - AROUND, middle.first + AROUND - 1)
    return list(grid.statistics(1e6)[1:-1])


def trimmed(hour: Hour, found: Mapping[str, float]) -> Judged:
    """Point 2: the two halves make the whole."""
    if "below" not in found and "above" not in found:
        return Standing.ABSENT, "no trimmed count came", "detail: percentiles (nibai.yaml)"
    below, above = found.get("below", 0.0), found.get("above", 0.0)
    said = f"{below:,.0f} up to the median and {above:,.0f} above of {hour.count:,.0f}"
    if round(below + above) == round(hour.count):
        return Standing.PRESENT, said
    return Standing.ABSENT, said, "detail: percentiles (nibai.yaml)"


def empty(found: Mapping[str, float]) -> Judged:
    """Point 4: what a bucket answers in which nothing can be."""
    if not found:
        return Standing.UNKNOWN, "no trimmed count came"
    if found.get("far") == 0.0:
        return Standing.PRESENT, "0 far above the maximum (both are read alike)"
    if "far" not in found:
        return Standing.ABSENT, "no datapoint far above the maximum (both are read alike)"
    return Standing.UNKNOWN, f"{found['far']:,.0f} far above the maximum: report this"


def comb(hour: Hour, found: Mapping[str, float]) -> Judged:
    """Point 5: empty buckets between full ones where a smooth hour has none."""
    if hour.count < ENOUGH:
        return Standing.UNKNOWN, f"{hour.count:,.0f} requests in the busiest hour are too few"
    counts = [found.get(name, 0.0) for name in around(hour)]
    holes = sum(
        1 for low, at, high in zip(counts, counts[1:], counts[2:], strict=False)
        if not at and low and high
    )  # fmt: skip
    if holes >= COMB:
        said = f"{holes} of 16 buckets are empty between full ones"
        return Standing.PRESENT, said, "detail: TC 55 (nibai.yaml): buckets 19 % wide"
    return Standing.ABSENT, f"{holes} of 16 buckets around the median empty between full ones"


def percentiles(hour: Hour) -> Judged:
    """Point 6: whether there are any beside a count."""
    if hour.median is None:
        return Standing.ABSENT, "SampleCount is there, p50 is not: published as statistic sets"
    return Standing.PRESENT, f"p50 of the busiest hour is {hour.median / 1e3:,.1f} ms"


def moment(seconds: float) -> datetime:
    """As boto3 takes it."""
    return datetime.fromtimestamp(seconds, UTC)
