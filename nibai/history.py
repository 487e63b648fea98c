"""The recorded past of a series, and what was found in it without anybody announcing it.

Pure data. Times are seconds since the Unix epoch (UTC).
"""

from __future__ import annotations

from dataclasses import dataclass

from nibai.histogram import BlockHistograms
from nibai.model import Estimate, Window


@dataclass(frozen=True, slots=True, eq=False)
class SeriesHistory:
    """One series in consecutive blocks; blocks without a request are empty.

    `variant` None stands for all variants of the endpoint together, `segment` "" for all segments.
    """

    endpoint: str
    variant: str | None
    metric: str
    segment: str
    start: float
    block_seconds: float
    histograms: BlockHistograms


@dataclass(frozen=True, slots=True)
class Movement:
    """How one view of a series moved at a change.

    `view` is a quantile ("p99"), "spread" (p90 over p10) or "errors" (share of requests). `size` is
    before divided by after, for errors after minus before; above 1 is faster where less is better.
    `changed`: more than noise, every view of the series allowed for.
    """

    view: str
    quantile: float | None
    before: float | None
    after: float | None
    size: Estimate
    changed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Suspect:
    """A known change that may be the reason; it came `seconds_before` the one that was found.

    0 when its time lies where the change may have happened.
    """

    change_id: str
    endpoint: str
    kinds: tuple[str, ...]
    description: str
    effective_at: float
    seconds_before: float
    same_endpoint: bool


@dataclass(frozen=True, slots=True)
class FoundChange:
    """A lasting change of one series: `at` is the start of the first block of the new level.

    It happened inside `between` (95 %, whole blocks); `clearest` is the view that shows it best,
    `p_value` that of this view. `before` and `after` are the stretches that are compared.
    """

    endpoint: str
    variant: str | None
    metric: str
    segment: str
    at: float
    between: Window
    block_seconds: float
    clearest: str
    p_value: float
    before: Window
    after: Window
    movements: tuple[Movement, ...]
    suspect: Suspect | None
    text: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan looked at and found, in order of endpoint and time.

    `thin` counts series with too few blocks or requests to be judged at all. `false_share`: at most
    this share of the changed series is expected to be unchanged in truth.
    """

    series: int
    thin: int
    false_share: float
    suspect_within_seconds: float
    window: Window | None
    block_seconds: float
    changes: tuple[FoundChange, ...]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A change that the online detector noticed: `at` is when it is estimated to have started.

    `raised_at` is the end of the block that raised it. `movement` compares the blocks between `at`
    and `raised_at` with those of the week before, `before`.
    """

    endpoint: str
    variant: str | None
    metric: str
    segment: str
    at: float
    raised_at: float
    before: Window
    movement: Movement
    suspect: Suspect | None
    learning_until: float


@dataclass(frozen=True, slots=True)
class Look:
    """One look of the online detector; `until` is the end of the last block that counted.

    `learning` holds when each series that is not watched yet has its week: (names, time).
    `threshold` steps of a stream are meant to pass between false alarms.
    """

    series: int
    until: float | None
    block_seconds: float
    threshold: float
    tolerate_seconds: float
    learning: tuple[tuple[str, float], ...]
    alarms: tuple[Alarm, ...]
