"""What is read of a Prometheus: which metric under which names, and whose series it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from collector.promql.answers import Labels
from nibai.model import SeriesKey

Matchers = tuple[tuple[str, str], ...]
Mapping = Callable[[Labels], SeriesKey | None]

BUCKET = "_bucket"
TEMPORALITY = "__temporality__"
"""Label of OpenTelemetry metrics in CloudWatch: delta or cumulative."""


class Kind(StrEnum):
    """How samples are to be read."""

    HISTOGRAM = "histogram"
    COUNTER = "counter"
    GAUGE = "gauge"


class Temporality(StrEnum):
    """Whether a sample counts since the last one, or since the process began."""

    DELTA = "delta"
    CUMULATIVE = "cumulative"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A metric of nibai and where it is found: the first of `names` that the server has.

    `factor`: base units in one of its units. `key` maps labels to the series, None: leave it out.
    `temporality` is asked by label where it is None, and `otherwise` where no label tells.
    `failures` are counters beside a histogram: all requests first, then those that failed.
    `expects`: (endpoint, variant, metric) of everything that is to come by it, where that is known;
    `labels` name the endpoint and the variant then.
    """

    metric: str
    names: tuple[str, ...]
    key: Mapping
    kind: Kind = Kind.HISTOGRAM
    factor: float = 1.0
    matchers: Matchers = ()
    more: str = ""
    temporality: Temporality | None = None
    otherwise: Temporality = Temporality.CUMULATIVE
    failures: tuple[str, ...] = ()
    expects: tuple[tuple[str, str, str], ...] = ()
    labels: tuple[str, str] | None = None

    @property
    def series_name(self) -> str:
        """Under which it is kept how far it was read."""
        chosen = ",".join(f"{label}={value}" for label, value in self.matchers)
        return f"promql/{self.metric}/{self.names[0]}/{chosen}{self.more}"


@dataclass(frozen=True, slots=True)
class Found:
    """A wanted metric as the server has it: its name there, classic buckets or not, temporality.

    `failures` are empty where the server lacks one of them.
    """

    wanted: Wanted
    name: str
    classic: bool
    temporality: Temporality
    failures: tuple[str, ...] = ()
