"""Answers drawn at random: did their distribution change, prompt by prompt?

At a temperature above zero two answers to one prompt differ anyway, so flips say nothing. Several
answers per prompt and variant do: within the prompt their distances to each other are compared with
those across the variants (energy distance), and one effect is taken over prompts.
Source: Székely & Rizzo 2013 (energy statistics); nibai's drift.md, section 6.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nibai.stats.student import critical_value

Floats = NDArray[np.float64]

SHUFFLES = 999
CHUNK = 50
"""Shuffles at a time: bounds memory."""


@dataclass(frozen=True, slots=True)
class SampledEffect:
    """One effect over prompts.

    `effect` is the mean energy distance, in the unit of the distances, near 0 without a change
    (unbiased: it may be negative); `p` that of unchanged answers reaching it. `within` is the mean
    distance of two answers of the baseline: the noise that the effect stands beside.
    """

    prompts: int
    effect: float
    low: float
    high: float
    p: float
    within: float


def sampled_effect(
    distances: Sequence[Floats],
    baseline: Sequence[int],
    rng: np.random.Generator,
    alpha: float = 0.05,
) -> SampledEffect | None:
    """The effect over prompts; None without a prompt of two answers on either side.

    `distances` holds a symmetric (n, n) matrix per prompt, its first `baseline[i]` answers those of
    the baseline. Prompts are independent; the test shuffles answers within each, so its p-value is
    exact at any number of them. The interval is Student's over prompts.

    >>> rng = np.random.default_rng(3)
    >>> apart = np.ones((4, 4)) - np.eye(4)
    >>> same = np.kron(np.eye(2), -apart[:2, :2]) + apart
    >>> found = sampled_effect([same] * 30, [2] * 30, rng)
    >>> found.effect, found.p
    (2.0, 0.001)
    """
    groups: dict[tuple[int, int], list[Floats]] = defaultdict(list)
    for matrix, old in zip(distances, baseline, strict=True):
        if min(old, len(matrix) - old) >= 2:  # noqa: PLR2004 - a distance within needs two
            groups[len(matrix), old].append(matrix)
    if not groups:
        return None
    effects = np.concatenate(
        [_energies(np.stack(group), _first(n, old)[None])[0] for (n, old), group in groups.items()]
    )
    shuffled = np.zeros(SHUFFLES)
    for (n, old), group in groups.items():
        shuffled += _shuffled(np.stack(group), n, old, rng)
    total = float(effects.sum())
    within = np.concatenate([_within(np.stack(group), old) for (_, old), group in groups.items()])
    half = _half(effects, alpha)
    # Sums in another order differ in the last digits: equal ones count as reached.
    reached = int((shuffled >= total - 1e-9 * max(abs(total), 1.0)).sum())
    mean = total / len(effects)
    return SampledEffect(
        len(effects), mean, mean - half, mean + half, (1 + reached) / (1 + SHUFFLES),
        float(within.mean()),
    )  # fmt: skip


def _first(n: int, old: int) -> Floats:
    return (np.arange(n) < old).astype(np.float64)


def _energies(matrices: Floats, sides: Floats) -> Floats:
    """Energy distances, unbiased: matrices (P, n, n), sides (R, n) or (R, P, n) of 1 and 0."""
    old = np.broadcast_to(sides[:, None] if sides.ndim == 2 else sides, _shape(matrices, sides))  # noqa: PLR2004 - (R, n)
    new = 1 - old
    to_old, to_new = (np.einsum("pij,rpj->rpi", matrices, side) for side in (old, new))
    k, m = old[0, 0].sum(), new[0, 0].sum()
    between = (to_new * old).sum(axis=2) / (k * m)
    return np.asarray(
        2 * between
        - (to_old * old).sum(axis=2) / (k * (k - 1))
        - (to_new * new).sum(axis=2) / (m * (m - 1))
    )


def _shape(matrices: Floats, sides: Floats) -> tuple[int, int, int]:
    return len(sides), len(matrices), matrices.shape[1]


def _shuffled(matrices: Floats, n: int, old: int, rng: np.random.Generator) -> Floats:
    """Sums over prompts with the answers of each dealt to the variants anew, shape (SHUFFLES,)."""
    sums = []
    for start in range(0, SHUFFLES, CHUNK):
        rows = min(CHUNK, SHUFFLES - start)
        ranks = rng.random((rows, len(matrices), n)).argsort(axis=2)
        sums.append(_energies(matrices, (ranks < old).astype(np.float64)).sum(axis=1))
    return np.concatenate(sums)


def _within(matrices: Floats, old: int) -> Floats:
    return np.asarray(matrices[:, :old, :old].sum(axis=(1, 2)) / (old * (old - 1)))


def _half(effects: Floats, alpha: float) -> float:
    if len(effects) == 1:
        return math.inf
    spread = float(effects.std(ddof=1)) / math.sqrt(len(effects))
    return critical_value(1 - alpha, len(effects) - 1) * spread
