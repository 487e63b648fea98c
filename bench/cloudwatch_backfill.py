"""Fifteen days of minutes of many endpoints, backfilled from CloudWatch: calls, bill, time, memory.

CloudWatch is the fake of the tests behind the client's seam (no HTTP: what is measured is nibai);
its values are made when they are asked for. The reading is cut off once in the middle and resumed:
the bill of both together must be that of one. Real accounts are read at the pace of their quota
(90,000 datapoints a second), which is said beside the time that was needed.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fakeaws.generated import GeneratedMetrics

from collector.cloudwatch.cadence import name
from collector.cloudwatch.pace import DATAPOINTS_PER_SECOND, Pace
from collector.cloudwatch.plan import Detail
from collector.cloudwatch.reading import CloudWatchSource
from collector.cloudwatch.source import configured_series
from nibai.app.collect import Collected, Source, collect, previews
from nibai.config import Config
from nibai.protocols import Pulled
from nibai.store.engine import Engine
from nibai.store.lake import Lake

NOW = 1_764_028_800.0 + 180
DAY_MINUTES = 1440


class Client:
    """The fake as what is asked of CloudWatch."""

    def __init__(self, metrics: GeneratedMetrics) -> None:
        self._metrics = metrics

    def get_metric_data(self, **request: object) -> Mapping[str, Any]:
        """One page."""
        found: Mapping[str, Any] = self._metrics.get_metric_data(**request)
        return found


@dataclass(slots=True)
class Progress:
    """Calls done of those planned, with the time that is left."""

    total: int
    began: float
    done: int = 0

    def tick(self, _source: Source, _part: Pulled) -> None:
        """One more call."""
        self.done += 1
        if self.done % max(self.total // 20, 1) == 0:
            spent = time.perf_counter() - self.began
            left = spent / self.done * (self.total - self.done)
            print(f"  {self.done:,} of {self.total:,} calls, {spent:.0f} s, {left:.0f} s left")


def main() -> int:
    """Backfill, cut off in the middle, and go on; not 0 when bill or minutes are not right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoints", type=int, default=200)
    parser.add_argument("--variants", type=int, default=3)
    parser.add_argument("--requests", type=int, default=20, help="requests per minute")
    parser.add_argument("--detail", default="TC 109")
    chosen = parser.parse_args()
    metrics = GeneratedMetrics(NOW, per_minute=chosen.requests)
    section = {
        "account": "123456789012",
        "region": "eu-west-1",
        "endpoints": {
            f"endpoint-{i}": [f"variant-{j}" for j in range(chosen.variants)]
            for i in range(chosen.endpoints)
        },
        "metrics": ["ModelLatency"],
    }
    wanted = configured_series(section)
    with tempfile.TemporaryDirectory() as folder:
        config = Config.model_validate({"data": folder, "cloudwatch": [section]})
        source = Source(
            "cloudwatch",
            CloudWatchSource(
                Client(metrics), wanted, clock=lambda: NOW, wait=lambda _seconds: None,
                detail=Detail(chosen.detail), own_range=True, pace=Pace(1e12, 1e15),
            ),
            3600.0, 3600.0,
        )  # fmt: skip
        ((_, preview),) = previews(config, [source])
        print(f"{preview.said}: at most {preview.calls:,} calls, ${preview.dollars:.2f}")
        progress = Progress(preview.calls, time.perf_counter())
        cpu = time.process_time()
        first = _read(config, source, progress, stop_at=preview.calls // 3)
        second = _read(config, source, progress, stop_at=None)
        seconds, cpu = time.perf_counter() - progress.began, time.process_time() - cpu
        minutes = first.new_minutes + second.new_minutes
        bad = _check(metrics, first, second, Path(folder), [name(one.series) for one in wanted])
    points = metrics.datapoints
    print(
        f"{len(wanted):,} series, {minutes:,} minutes in {first.calls + second.calls:,} calls, "
        f"{points:,} datapoints: {seconds:.0f} s ({cpu:.0f} s of processor, "
        f"{1e6 * cpu / max(minutes, 1):.0f} us a minute of a series), peak memory "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    )
    print(
        f"metered ${first.dollars + second.dollars:.4f}; a real account's quota takes "
        f"{points / DATAPOINTS_PER_SECOND:.0f} s"
    )
    return bad


def _read(config: Config, source: Source, progress: Progress, *, stop_at: int | None) -> Collected:
    stopping = (lambda: False) if stop_at is None else (lambda: progress.done >= stop_at)
    reading = collect(config, [source], clock=lambda: NOW, tick=progress.tick, stop=stopping)
    ((_, done),) = list(reading)
    print(f"  {'read to the end' if stop_at is None else 'cut off'} after {done.calls:,} calls")
    return done


def _check(
    metrics: GeneratedMetrics, first: Collected, second: Collected, folder: Path, names: list[str]
) -> int:
    """How many things are wrong: the bill, the minutes, minutes that changed."""
    wrong = 0
    if abs(first.dollars + second.dollars - metrics.billed_metrics * 1e-5) > 1e-9:  # noqa: PLR2004
        print("the bill is not what CloudWatch was asked")
        wrong += 1
    if first.revised_minutes + second.revised_minutes or second.minutes > second.new_minutes + (
        180 * len(names)
    ):
        print("minutes were read again beyond the last three hours")
        wrong += 1
    engine = Engine(Lake(folder / "lake"))
    spans = engine.spans("sagemaker/123456789012.eu-west-1/endpoint-0", "model_latency")
    stored = {span.variant: span.count for span in spans}
    expected = 15 * DAY_MINUTES * metrics.per_minute
    if any(abs(count - expected) > 120 * metrics.per_minute for count in stored.values()):
        print(f"requests are missing: {stored}, not {expected} each")
        wrong += 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
