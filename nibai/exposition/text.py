"""The text exposition: gauges and counters by prometheus-client, classic histograms like it.

The classic buckets are the lake's counts at scale 2, a factor of 2^(1/4) each: 68 bounds from 1.2
ms to 128 s and one for everything. Prometheus interpolates linearly between them: 3 % at most for
p50 to p99 of usual latencies. prometheus-client takes a millisecond for the 70 lines of a histogram
(5 s for 4,000 series), so they are written here, as it writes them (tested).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.utils import floatToGoString

from nibai.exposition.families import Family, HistogramValue
from nibai.metric_registry import MetricType

TEXT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
CLASSIC_SCALE = 2
FIRST_BOUND, BOUNDS = -39, 68
"""The bounds are 2^(i/4) seconds for 68 integers from -39 on."""


@cache
def bounds() -> tuple[str, ...]:
    """The upper bounds as they are written."""
    found = 2.0 ** ((FIRST_BOUND + np.arange(BOUNDS)) / 2**CLASSIC_SCALE)
    return (*(str(float(f"{bound:.6g}")) for bound in found), "+Inf")


def classic_buckets(value: HistogramValue) -> list[int]:
    """Requests of at most each bound, all of them at the end."""
    counts = value.counts.downscale(min(CLASSIC_SCALE, value.counts.scale))
    # Bucket i holds what is at most 2^((i+1)/4): bound b is reached by all buckets below b.
    steps = 2 ** (CLASSIC_SCALE - counts.scale)
    upper = np.arange(FIRST_BOUND, FIRST_BOUND + BOUNDS) // steps - counts.offset
    cumulative = np.r_[0, np.cumsum(counts.counts[0])]
    within = cumulative[np.clip(upper, 0, len(cumulative) - 1)] + int(counts.zero[0])
    return [*within.tolist(), value.count]


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """Families as prometheus-client collects them."""

    families: tuple[Metric, ...]

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        return self.families


def encode_text(families: Iterable[Family]) -> bytes:
    """All families in Prometheus' text format 0.0.4."""
    parts = []
    for family in families:
        if family.exported.type is MetricType.HISTOGRAM:
            parts.append(_histograms(family).encode())
        else:
            parts.append(generate_latest(_Snapshot((_numbers(family),))))
    return b"".join(parts)


def _numbers(family: Family) -> Metric:
    exported = family.exported
    kind = CounterMetricFamily if exported.type is MetricType.COUNTER else GaugeMetricFamily
    made = kind(exported.name, exported.help, labels=exported.labels)
    for sample in family.samples:
        assert not isinstance(sample.value, HistogramValue)  # noqa: S101 - as Families sees to it
        made.add_metric(sample.labels, sample.value)
    return made


def _histograms(family: Family) -> str:
    name = family.exported.name
    lines = [
        f"# HELP {name} {_escaped(family.exported.help)}",
        f"# TYPE {name} histogram",
    ]
    for sample in family.samples:
        assert isinstance(sample.value, HistogramValue)  # noqa: S101 - as Families sees to it
        pairs = sorted(zip(family.exported.labels, sample.labels, strict=True))
        before = "".join(f"{_pair(*pair)}," for pair in pairs if pair[0] < "le")
        after = "".join(f",{_pair(*pair)}" for pair in pairs if pair[0] > "le")
        lines += [
            f'{name}_bucket{{{before}le="{le}"{after}}} {count}.0'
            for le, count in zip(bounds(), classic_buckets(sample.value), strict=True)
        ]
        labels = ",".join(_pair(*pair) for pair in pairs)
        labels = f"{{{labels}}}" if labels else ""
        lines.append(f"{name}_count{labels} {sample.value.count}.0")
        total = floatToGoString(sample.value.sum)  # type: ignore[no-untyped-call]
        lines.append(f"{name}_sum{labels} {total}")
    return "\n".join(lines) + "\n"


def _pair(name: str, value: str) -> str:
    quoted = _escaped(value).replace('"', r"\"")
    return f'{name}="{quoted}"'


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")
