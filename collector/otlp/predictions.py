"""From attributes of a span to one answer: what was predicted, for which request, how sure.

Of a payload nothing is read; a label or id that is long enough to be one is kept as its digest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from nibai.conventions import PREDICTION_ATTRIBUTES
from nibai.predictions import PredictionRecord

ANSWERS = ("label", "score", "invalid")
"""One of these makes a span an answer."""

NOT_FINITE = "not a number"
"""Kind of invalid answer: its score is NaN or infinite."""

Values = Mapping[str, object]
Complain = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Series:
    """Who answered."""

    endpoint: str
    variant: str
    replica: str
    segment: str


@dataclass(frozen=True, slots=True)
class PredictionMapper:
    """Which attributes name the parts of an answer; the first present one wins."""

    names: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: PREDICTION_ATTRIBUTES)

    @classmethod
    def from_options(cls, options: Mapping[str, Iterable[str]]) -> PredictionMapper:
        """The rules of a configuration; parts it leaves out keep their default."""
        given = {part: tuple(names) for part, names in options.items()}
        return cls({**PREDICTION_ATTRIBUTES, **given})

    @property
    def keys(self) -> frozenset[str]:
        """All attributes that are looked at."""
        return frozenset(name for names in self.names.values() for name in names)

    def record(
        self, values: Values, series: Series, at: float, trace_id: str, complain: Complain
    ) -> PredictionRecord | None:
        """The answer that a span carries, None when it carries none.

        Without a request id the trace stands for it. What cannot be used is told to `complain`.
        """
        found = {}
        for part, names in self.names.items():
            for name in names:
                if name in values:
                    found[part] = values[name]
                    break
        if all(found.get(part) is None for part in ANSWERS):
            return None
        return _record(found, series, at, trace_id, complain)


def _record(
    found: Mapping[str, object], series: Series, at: float, trace_id: str, complain: Complain
) -> PredictionRecord:
    def number(part: str) -> float | None:
        value = found.get(part)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return None if value is None else float(value)
        complain(f"a prediction's {part} is no number and left out")
        return None

    def count(part: str, default: int) -> int:
        value = number(part)
        if value is None:
            return default
        if not 0 <= value < 2**31 or value != int(value):
            complain(f"a prediction's {part} is no count and left out")
            return default
        return int(value)

    score, margin = number("score"), number("margin")
    invalid = _text(found.get("invalid"))
    if score is not None and not math.isfinite(score):
        score, invalid = None, invalid or NOT_FINITE
    if margin is not None and not math.isfinite(margin):
        margin = None
    truth = found.get("truth")
    return PredictionRecord(
        request_id=_text(found.get("request_id")) or trace_id,
        input_hash=_text(found.get("input_hash")),
        at=at,
        endpoint=series.endpoint,
        variant=series.variant,
        replica=series.replica,
        segment=series.segment,
        label="" if invalid else _text(found.get("label")),
        score=score,
        margin=margin,
        probabilities=_probabilities(found.get("probabilities"), complain),
        truth=None if truth is None else _text(truth),
        invalid=invalid,
        batch=max(count("batch", 1), 1),
        source=_text(found.get("source")),
        repeat=count("repeat", 0),
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _probabilities(value: object, complain: Complain) -> tuple[float, ...]:
    if value is None:
        return ()
    given = value if isinstance(value, list) else [value]
    numbers = [float(one) for one in given if isinstance(one, int | float) and math.isfinite(one)]
    if isinstance(value, list) and len(numbers) == len(given):
        return tuple(numbers)
    complain("a prediction's probabilities are no list of numbers and left out")
    return ()
