"""Requests as minutes of series: exact durations by variant and segment, failures beyond all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from collector.segments import Segments, band
from nibai.histogram import OVERFLOW_BUCKET, bucket_index
from nibai.model import Observation, Provenance, SeriesKey

MOST_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Request:
    """One request: when it was (seconds since the epoch), how long it took, and whose it was.

    It stands for `weight` requests: more than 1 where only some of them were traced.
    """

    at: float
    seconds: float
    failed: bool
    variant: str = ""
    segment: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Naming:
    """How fields of a record become a segment: their names, and the edges of bands of numbers."""

    segments: Mapping[str, str] = field(default_factory=dict)
    bands: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def segment(self, values: Mapping[str, object]) -> str:
        """The segment of a record's fields.

        >>> Naming({"in": "tokens"}, {"in": (128, 1024)}).segment({"tokens": "500"})
        'in=129-1024'
        """
        found = []
        for name, place in self.segments.items():
            value = values.get(place)
            if value is None or value == "":
                continue
            edges = self.bands.get(name)
            text = str(value) if edges is None else band(value, edges)
            if text:
                found.append(f"{name}={text[:MOST_CHARACTERS]}")
        return ",".join(found)


def minutes(
    requests: Iterable[Request], endpoint: str, segments: Segments, provenance: Provenance
) -> list[Observation]:
    """All requests of whole minutes, series by series."""
    groups: dict[tuple[int, str, str], list[Request]] = {}
    for one in requests:
        key = (int(one.at // 60), one.variant, segments.bounded(one.segment))
        groups.setdefault(key, []).append(one)
    return [
        _observation(minute, SeriesKey(endpoint, variant, "", segment, "latency"), own, provenance)
        for (minute, variant, segment), own in sorted(groups.items())
    ]


def unrecorded(
    requests: Sequence[Request], share: float, endpoint: str, segments: Segments
) -> list[Observation]:
    """A minute of which only this share of the requests came, the first ones: counts alone.

    They are no fair sample of how long requests took, so that no bucket is known. Whose the others
    were and how many failed is taken from those that came.
    """
    return [
        replace(
            one,
            buckets=one.buckets[:0],
            bucket_counts=one.bucket_counts[:0],
            count=round(one.count / share),
            sum=one.sum / share,
            min=float("nan"),
            max=float("nan"),
            errors=round(one.errors / share),
            provenance=Provenance.SCALAR,
        )
        for one in minutes(requests, endpoint, segments, Provenance.EXACT)
    ]


def _observation(
    minute: int, key: SeriesKey, requests: Sequence[Request], provenance: Provenance
) -> Observation:
    seconds = np.array([one.seconds for one in requests])
    weights = np.array([one.weight for one in requests])
    failed = np.array([one.failed for one in requests])
    indices = np.where(failed, OVERFLOW_BUCKET, bucket_index(np.where(failed, 1.0, seconds)))
    buckets, place = np.unique(indices, return_inverse=True)
    counts = np.rint(np.bincount(place, weights=weights)).astype(np.int64)
    good = seconds[~failed]
    return Observation(
        key,
        minute,
        buckets.astype(np.int32),
        counts,
        int(counts.sum()),
        float((good * weights[~failed]).sum()),
        float(good.min()) if len(good) else float("nan"),
        float(good.max()) if len(good) else float("nan"),
        errors=int(counts[buckets == OVERFLOW_BUCKET].sum()),
        provenance=provenance,
    )
