"""Pairs of answers with a known truth, for prediction verdicts."""

from dataclasses import replace

from nibai.model import ChangeKind
from nibai.predictions import (
    CORRECT,
    INVALID,
    EvidenceLevel,
    JoinReport,
    PairedSketch,
    PredictionSample,
    Signal,
)
from support.comparisons import Given, change

QUIET = {"old": (3000, 0), "new": (3000, 0)}
"""Both variants asked twice: not one answer changed."""

INT8 = {"kinds": (ChangeKind.PRECISION,), "evidence": {"precision": "int8"}}


class Pairs(Given):
    """Windows that hold samples of predictions, and comparisons of values."""

    def __init__(self, *samples, **comparisons):
        super().__init__(**comparisons)
        self._samples = samples

    def predictions(self):
        return self._samples


def sketch(pairs, flips, **options):
    options.setdefault("all_pairs", pairs)
    options.setdefault("all_flips", flips)
    return PairedSketch(pairs=pairs, flips=flips, **options)


def sample(pairs, flips, *, old=None, new=None, **options):
    """`old` and `new`: (n, self-flips) of a variant with itself; the sketch's options pass too."""
    names = {
        "signals", "events", "margins", "confusion", "moments", "histograms", "worst",
        "all_pairs", "all_flips",
    }  # fmt: skip
    inner = {name: options.pop(name) for name in list(options) if name in names}
    floors = [None if given is None else {"": sketch(*given)} for given in (old, new)]
    options.setdefault("level", EvidenceLevel.REPLAY)
    options.setdefault("source", "replay:test")
    options.setdefault("batch", 1)
    return PredictionSample(
        pairs={"": sketch(pairs, flips, **inner)}, floor_old=floors[0], floor_new=floors[1],
        **options,
    )  # fmt: skip


def truth(n, n10, n01, right=0.7):
    """Correctness on both sides: n10 were right and are wrong now."""
    return {CORRECT: Signal(n, n10, n01, int(right * n) - n10)}


def invalid(n, before, after):
    """Invalid answers, all of them on one side alone."""
    return {INVALID: Signal(n, before, after, 0)}


def joined(requests, matched, **options):
    return JoinReport("request id", requests, matched, **options)


def declared(*claims, **options):
    return replace(change(*claims), **(INT8 | options))
