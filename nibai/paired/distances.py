"""How far two answers to the same input are apart, one number per pair."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nibai.paired.columns import Floats

LEAST_PROBABILITY = 1e-12
"""Probabilities are clipped here, so that KL stays finite."""

REST = 1e-9
"""Probability left over from which on a row is taken for the top of a longer list."""


def divergences(old: Floats, new: Floats) -> tuple[Floats, Floats]:
    """KL(old || new) in nats and the Jensen-Shannon divergence in bits, shapes (n, K) -> (n,).

    Rows that do not sum to 1 are the top of longer lists: what is left over is one class more, so
    that both are lower bounds.

    >>> kl, jsd = divergences(np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]]))
    >>> kl.round(4).tolist(), jsd.round(4).tolist()
    ([0.5108], [0.1468])
    """
    p, q = (np.maximum(_with_rest(one), LEAST_PROBABILITY) for one in (old, new))
    middle = (p + q) / 2
    kl = (p * np.log(p / q)).sum(axis=1)
    halves = [(one * np.log2(one / middle)).sum(axis=1) / 2 for one in (p, q)]
    return np.maximum(kl, 0.0), np.clip(halves[0] + halves[1], 0.0, 1.0)


def _with_rest(rows: Floats) -> Floats:
    rest = np.clip(1.0 - rows.sum(axis=1), 0.0, None)
    rest[rest < REST] = 0.0
    return np.column_stack([rows, rest])


def root_mean_square(old: Floats, new: Floats) -> Floats:
    """Root mean square of the differences of probabilities, (n, K) -> (n,)."""
    difference: Floats = np.sqrt(((new - old) ** 2).mean(axis=1))
    return difference


def cosine(old: Floats, new: Floats) -> Floats:
    """Cosine of embeddings, (n, D) -> (n,); NaN where one of them has no length.

    >>> cosine(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]])).round(4).tolist()
    [0.7071]
    """
    length = np.linalg.norm(old, axis=1) * np.linalg.norm(new, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.clip((old * new).sum(axis=1) / length, -1.0, 1.0)
    return found


def rank_overlap(old: NDArray[np.int64], new: NDArray[np.int64], p: float = 0.9) -> Floats:
    """Rank-biased overlap of two rankings, shapes (n, K) -> (n,); 1 for equal ones.

    Items are numbers, -1 pads short lists. `p` is how likely a reader looks one place further;
    extrapolated from the K places that are known. Source: Webber et al., TOIS 2010, eq. 32.

    >>> one = np.array([[1, 2, 3]])
    >>> rank_overlap(one, one).round(4).tolist(), rank_overlap(one, one + 10).tolist()
    ([1.0], [0.0])
    """
    shared = _shared(old, new)
    depths = np.arange(1, old.shape[1] + 1)
    weights = p**depths
    places = np.maximum((old >= 0).sum(axis=1), (new >= 0).sum(axis=1))
    agreement = shared / np.minimum(depths, np.maximum(places, 1)[:, None])
    overlap = (1 - p) / p * (agreement * weights).sum(axis=1)
    return np.asarray(overlap + agreement[:, -1] * weights[-1], dtype=np.float64)


def top_overlap(old: NDArray[np.int64], new: NDArray[np.int64]) -> Floats:
    """Share of the K places' items that both rankings have."""
    places = np.maximum((old >= 0).sum(axis=1), (new >= 0).sum(axis=1))
    return np.asarray(_shared(old, new)[:, -1] / np.maximum(places, 1), dtype=np.float64)


def _shared(old: NDArray[np.int64], new: NDArray[np.int64]) -> NDArray[np.int64]:
    """Items that both rankings have among their first 1..K places, (n, K)."""
    same = (old[:, :, None] == new[:, None, :]) & (old[:, :, None] >= 0)
    rows, first, second = np.nonzero(same)
    counts = np.zeros(old.shape, dtype=np.int64)
    np.add.at(counts, (rows, np.maximum(first, second)), 1)
    return counts.cumsum(axis=1)
