"""Range queries that come whole: answers that may be cut off are asked again label by label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from collector.promql.answers import Matrix, Series
from collector.promql.client import PromqlClient, TooMuchError
from collector.promql.selectors import selector
from collector.promql.wanted import Matchers
from nibai.model import Window

MOST_SAMPLES = 60_000
"""What is kept in memory at a time: histograms of 40 buckets take 5 kB each."""

MOST_SPLITS = 4
LE = "le"

Expression = Callable[[str], str]
"""Makes the query of a selector."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Series of one name by matchers."""

    name: str
    matchers: Matchers = ()
    more: str = ""

    @property
    def text(self) -> str:
        """As PromQL."""
        return selector(self.name, self.matchers, self.more)

    def having(self, label: str, value: str) -> Selection:
        """Only those with this value of a label ("": without it)."""
        return Selection(self.name, (*self.matchers, (label, value)), self.more)


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks for samples at every `step`; what comes back is whole or says that it is not."""

    client: PromqlClient
    step: float = 60.0

    def ask(self, expression: Expression, selection: Selection, window: Window) -> Matrix:
        """The answer in one piece; warnings remain where nothing could be split any further.

        Raises TooMuchError where the server says so or memory would: ask for a shorter stretch.
        """
        found = self._whole(expression, selection, window, MOST_SPLITS)
        fitting(found.answered)
        return found

    def _whole(
        self, expression: Expression, selection: Selection, window: Window, splits: int
    ) -> Matrix:
        """An answer with warnings may be cut off: it is asked again, label value by label value."""
        found = self.client.query_range(expression(selection.text), window, self.step)
        label = _splitting(found, selection) if found.warnings and splits else None
        if label is None:
            return found
        values = self.client.label_values(label, selection.text, window)
        parts: list[Matrix] = []
        for value in ("", *values):
            parts.append(
                self._whole(expression, selection.having(label, value), window, splits - 1)
            )
            fitting(sum(part.answered for part in parts))
        return _joined(parts)


def fitting(samples: int) -> None:
    """TooMuchError when so many samples should not be held."""
    if samples > MOST_SAMPLES:
        raise TooMuchError(
            f"PromQL: an answer of more than {MOST_SAMPLES:,} samples at once", reason="too_much"
        )


def _splitting(found: Matrix, selection: Selection) -> str | None:
    """The label that tells most series apart; None when none does."""
    used = {label for label, _ in selection.matchers} | {LE, "__name__"}
    values: dict[str, set[str]] = {}
    for one in found.series:
        for label, value in one.labels.items():
            if label not in used:
                values.setdefault(label, set()).add(value)
    several = {label: len(found_) for label, found_ in values.items() if len(found_) > 1}
    return max(several, key=lambda label: (several[label], label)) if several else None


def _joined(parts: Sequence[Matrix]) -> Matrix:
    """Parts of one answer; a series may be in several, at different times."""
    merged: dict[tuple[tuple[str, str], ...], Series] = {}
    for part in parts:
        for one in part.series:
            key = tuple(sorted(one.labels.items()))
            known = merged.get(key)
            merged[key] = one if known is None else Series(
                one.labels, {**known.values, **one.values}, {**known.histograms, **one.histograms}
            )  # fmt: skip
    warnings = tuple(dict.fromkeys(text for part in parts for text in part.warnings))
    return Matrix(tuple(merged.values()), warnings, sum(part.samples for part in parts))
