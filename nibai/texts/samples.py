"""Several answers to one prompt: how far each is from each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nibai.texts.distances import token_distance
from nibai.texts.tokens import tokens

MAX_SAMPLES = 32
"""Answers per prompt and variant that are compared; each costs one distance to every other."""


def answer_distances(baseline: Sequence[str], candidate: Sequence[str]) -> NDArray[np.float64]:
    """Token edit distances, 0 to 1, of all answers to one prompt, those of the baseline first.

    >>> answer_distances(["a b", "a b"], ["a c"]).tolist()
    [[0.0, 0.0, 0.5], [0.0, 0.0, 0.5], [0.5, 0.5, 0.0]]
    """
    answers = [tuple(tokens(text)) for side in (baseline, candidate) for text in side[:MAX_SAMPLES]]
    found = np.zeros((len(answers), len(answers)))
    known: dict[tuple[tuple[str, ...], tuple[str, ...]], float] = {}
    for i, one in enumerate(answers):
        for j, other in enumerate(answers[:i]):
            if one == other:
                continue
            pair = (one, other) if one <= other else (other, one)
            if pair not in known:
                known[pair] = token_distance(*pair)
            found[i, j] = found[j, i] = known[pair]
    return found
