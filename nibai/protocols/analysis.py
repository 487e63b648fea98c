"""Seams of the analyzers: windows, answers, and the recorded past."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from nibai.history import Movement, Scan, SeriesHistory, Suspect
from nibai.model import Change, Comparison, Finding
from nibai.predictions import PredictionSample


@runtime_checkable
class Windows(Protocol):
    """Both sides of a change, from the lake or from files; an analyzer cannot tell which."""

    def comparison(self, metric: str) -> Comparison | None:
        """Block histograms of a metric on both sides; None when neither side has it."""
        ...


@runtime_checkable
class PredictionWindows(Protocol):
    """What both variants answered; windows that know it have this beside `comparison`."""

    def predictions(self) -> Sequence[PredictionSample]:
        """One sample per profile of batch and concurrency, the latency's own first; may be none."""
        ...


@runtime_checkable
class Analyzer(Protocol):
    """One question (entry point group `nibai.analyzers`).

    It answers the claim parts it understands, in order, and leaves out all others.
    """

    def analyze(self, change: Change, windows: Windows) -> Sequence[Finding]:
        """Findings for the parts of `change.sentences` that are this analyzer's."""
        ...


@runtime_checkable
class History(Protocol):
    """The recorded past of many series, one after the other."""

    def series(self) -> Iterable[SeriesHistory]:
        """Every series once, in order of endpoint."""
        ...


@runtime_checkable
class Scanner(Protocol):
    """One question to the past itself, without a change and a claim (`nibai.scanners`)."""

    def scan(self, history: History, known: Sequence[Change]) -> Scan:
        """What was found in all series; `known` changes may explain it."""
        ...


@runtime_checkable
class Describer(Protocol):
    """A scanner that says how far one view of a series moved at a known block."""

    def describe(
        self, one: SeriesHistory, view: str, cut: int, known: Sequence[Change]
    ) -> tuple[Movement, Suspect | None]:
        """Blocks before `cut` against those from it on, and the change that may be the reason."""
        ...
