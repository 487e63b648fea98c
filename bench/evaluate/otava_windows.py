"""What Otava says about pairs of windows: any change point in the 2w points counts as "changed"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.evaluate.otava import DEFAULTS, MAX_PVALUE, Answer, Otava, Request, Setting
from bench.evaluate.windows import Arranged
from nibai.histogram import Float64Array

STRICTER = tuple(float(p) for p in MAX_PVALUE * 10.0 ** (-0.25 * np.arange(1, 45)))
"""p-values below the default that a matched Otava may be given."""


def ask(
    otava: Otava, windows: Sequence[tuple[Float64Array, Float64Array]], *chains: Sequence[Setting]
) -> list[list[Answer]]:
    """Answers by item and judged pair; an item is baselines and candidates of shape (K, w)."""
    settings = tuple(tuple(chain) for chain in chains)
    requests = [
        Request(np.concatenate([b, c]).tolist(), settings)
        for baselines, candidates in windows
        for b, c in zip(baselines, candidates, strict=True)
    ]
    answers = iter(otava.change_points(requests))
    return [[next(answers) for _ in baselines] for baselines, _ in windows]


def margin_chain(margins: Sequence[float]) -> list[Setting]:
    """The defaults with ascending minimum magnitude."""
    return [(MAX_PVALUE, margin) for margin in margins]


def score_chain() -> list[Setting]:
    """The defaults, then ever smaller p."""
    return [DEFAULTS, *((p, 0.0) for p in STRICTER)]


def flags(answer: list[list[int]], settings: int) -> list[bool]:
    """Whether there was a change point, by setting of a chain."""
    return [i < len(answer) and bool(answer[i]) for i in range(settings)]


def score(answer: list[list[int]]) -> float:
    """The smallest p of `score_chain` at which it still reports a change; 1 when none does."""
    levels = (MAX_PVALUE, *STRICTER)
    found = sum(bool(points) for points in answer)
    return levels[found - 1] if found else 1.0


def unchanged(arranged: Sequence[Arranged]) -> list[tuple[Float64Array, Float64Array]]:
    """The judged pairs as they are."""
    return [(a.baseline, a.candidate) for a in arranged]
