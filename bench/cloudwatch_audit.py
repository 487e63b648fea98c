"""A change audited from CloudWatch beside what a dashboard of averaged percentiles says of it.

Every request of a simulated endpoint is known: 24 hours before and after it became faster, with
drift, bursts or incidents (nibai's statistics.md, section 15). CloudWatch is the fake of the tests,
asked by a real boto3 client. The naive way is that of a five-percentile exporter: percentiles of
each minute, polled every minute and averaged over the window. Both bills are those that the fake
metered, scaled to a month of 730 hours.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fakeaws.metrics import Metrics
from fakeaws.server import FakeAws
from support.simulator import SCENARIOS, simulate

from collector.cloudwatch.client import CloudWatchClient
from collector.cloudwatch.plan import Detail
from collector.cloudwatch.reading import CloudWatchSource
from collector.cloudwatch.source import configured_series
from nibai.app.audit import open_desk
from nibai.app.collect import Source, collect, previews
from nibai.claims import parse
from nibai.config import Config
from nibai.model import Change, ChangeKind

PS = (0.5, 0.9, 0.99)
POLLED = ("p50", "p75", "p90", "p95", "p99")
SERIES = ("AWS/SageMaker", "ModelLatency", (("EndpointName", "chat"), ("VariantName", "blue")))
ENDPOINT = "sagemaker/123456789012.eu-west-1/chat"
NOW = 1_764_028_800.0 + 180  # midnight, and what takes a while to be published
MONTH_HOURS = 730
DOLLARS = 1e-5


@dataclass(frozen=True, slots=True)
class Row:
    """One quantile: before and after in seconds, by request; and what both ways say."""

    p: float
    before: float
    after: float
    estimate: tuple[float, float, float]
    naive: tuple[float, float]

    @property
    def ratio(self) -> float:
        """The true one."""
        return self.before / self.after

    @property
    def covered(self) -> bool:
        """Whether nibai's interval holds the true ratio."""
        return self.estimate[1] <= self.ratio <= self.estimate[2]

    @property
    def naive_off(self) -> float:
        """By how much the averaged percentile misses the quantile before the change."""
        return self.naive[0] / self.before - 1


@dataclass(frozen=True, slots=True)
class Bills:
    """Dollars a month of one series: planned, metered and scaled, and of the exporter."""

    planned: float
    metered: float
    exporter: float


def audited(
    scenario: str, *, rate: float = 60.0, hours: int = 24, detail: str = "TC 109", seed: int = 1
) -> tuple[list[Row], Bills]:
    """One change, read and audited; the naive way on the same data."""
    rng = np.random.default_rng(seed)
    sides = [
        simulate(rng, SCENARIOS[scenario], minutes=60 * hours, rate=rate, service_factor=factor)
        for factor in (1.0, 1 / 1.7)
    ]
    metrics, moved = Metrics(NOW), NOW - 180 - 3600 * hours
    for number, side in enumerate(sides):
        start = int(moved // 60) + (number - 1) * 60 * hours
        minutes = side.minute.astype(int)
        for minute in np.unique(minutes):
            values = side.seconds[minutes == minute] * 1e6
            metrics.publish(*SERIES, start + int(minute), values)
    with FakeAws(cloudwatch=metrics) as fake, tempfile.TemporaryDirectory() as folder:
        estimates, planned, metered = _nibai(fake.url, metrics, Path(folder), moved, detail)
        averages, polled = _exporter(fake.url, metrics, moved, hours)
    rows = [
        Row(
            p,
            *(float(np.quantile(side.seconds, p)) for side in sides),
            estimates[p],
            averages[p],
        )
        for p in PS
    ]
    return rows, Bills(planned, metered, polled)


def _nibai(
    url: str, metrics: Metrics, folder: Path, moved: float, detail: str
) -> tuple[dict[float, tuple[float, float, float]], float, float]:
    """Estimates by quantile; a month's bill as planned, and as an hour's reading metered it."""
    section = {
        "account": "123456789012", "region": "eu-west-1", "endpoints": {"chat": ["blue"]},
        "metrics": ["ModelLatency"], "detail": detail, "endpoint_url": url,
    }  # fmt: skip
    config = Config.model_validate({"data": str(folder), "cloudwatch": [section]})
    # Real waiting for the account's quota is left out.
    puller = CloudWatchSource(
        CloudWatchClient("eu-west-1", endpoint_url=url),
        configured_series(section),
        clock=lambda: NOW,
        wait=lambda _seconds: None,
        detail=Detail(detail),
        own_range=True,
    )
    sources = [Source("cloudwatch", puller, 3600.0, 3600.0)]
    ((_, preview),) = previews(config, sources)
    for _ in collect(config, sources, clock=lambda: NOW):
        pass
    before = metrics.billed_metrics
    for _ in collect(config, sources, clock=lambda: NOW):  # an hour later nothing else is asked
        pass
    hourly = (metrics.billed_metrics - before) * DOLLARS
    claim = "model_latency 1.5x faster at p50, p90 and p99"
    change = Change(
        "chg", ENDPOINT, (ChangeKind.INSTANCE_TYPE,), effective_at=moved, sentences=(parse(claim),)
    )
    with open_desk(config, lambda: NOW) as desk:
        audit = desk.audit(change)
    found = {}
    for finding in audit.findings:
        assert finding.estimate is not None, finding.reason.text
        bounds = (finding.estimate.low or 0.0, finding.estimate.high or np.inf)
        found[float(finding.claim.quantile or 0)] = (finding.estimate.value or np.nan, *bounds)
    return found, preview.dollars_per_month, hourly * MONTH_HOURS


def _exporter(
    url: str, metrics: Metrics, moved: float, hours: int
) -> tuple[dict[float, tuple[float, float]], float]:
    """Averages of per-minute percentiles (before, after); a month's bill of polling by minute."""
    client = CloudWatchClient("eu-west-1", endpoint_url=url)
    namespace, name, dimensions = SERIES
    metric = {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
    }

    def ask(start: float, end: float) -> dict[str, list[float]]:
        queries = [
            {"Id": one, "MetricStat": {"Metric": metric, "Period": 60, "Stat": one}}
            for one in POLLED
        ]
        page = client.get_metric_data(MetricDataQueries=queries, StartTime=start, EndTime=end)
        return {one["Id"]: one["Values"] for one in page["MetricDataResults"]}

    before = metrics.billed_metrics
    for minute in range(60):
        ask(moved + 60 * minute, moved + 60 * (minute + 1))
    month = (metrics.billed_metrics - before) * DOLLARS * MONTH_HOURS
    length = 3600.0 * hours
    sides = ask(moved - length, moved), ask(moved, moved + length)
    return {
        p: (
            float(np.mean(sides[0][f"p{100 * p:g}"])) / 1e6,
            float(np.mean(sides[1][f"p{100 * p:g}"])) / 1e6,
        )
        for p in PS
    }, month


def _bound(ratio: float) -> str:
    return f"{ratio:.3f}" if 0 < ratio < np.inf else "no bound"


def main() -> int:
    """Print the table; 1 when an interval misses the truth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=60.0, help="requests per minute")
    parser.add_argument("--scenarios", nargs="*", default=["ar10", "incid", "queue"])
    chosen = parser.parse_args()
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    missed = 0
    for scenario in chosen.scenarios:
        rows, bills = audited(scenario, rate=chosen.rate)
        print(f"\n{scenario}, {chosen.rate:g} requests a minute, 24 h before and after")
        print("      by request        audited, TC 109             average of the minutes")
        for row in rows:
            value, low, high = row.estimate
            missed += not row.covered
            print(
                f"p{100 * row.p:<4g} {row.before:.3f} s  {row.ratio:.3f}x   {value:.3f}x "
                f"[{_bound(low)}, {_bound(high)}]{' ' if row.covered else '!'}   "
                f"{row.naive[0]:.3f} s ({row.naive_off:+.0%})  {row.naive[0] / row.naive[1]:.3f}x"
            )
        print(
            f"a month of this series: whole histograms every hour ${bills.metered:.3f} "
            f"(planned: at most ${bills.planned:.3f}); five percentiles polled every minute "
            f"${bills.exporter:.3f}"
        )
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
