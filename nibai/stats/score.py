"""Block scores of one side, tabulated at bucket edges so that any trial ratio is a look-up.

Both scores of the specification have the form `u_g(x) = p * slope_g + body_g(x)`, where body is
linear in log2 x within a bucket. Tabulating body once makes a trial ratio cost microseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from nibai.histogram import BlockHistograms, Float64Array, merge

TIE = 1e-12
"""Ranks closer than this (as a share of all requests) are the same rank, rounded differently."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """Distribution and block scores of one side at K+1 bucket edges.

    Edge k is log2 value `(offset + k) / 2**scale`. `cdf` has shape (K+1,), `body` (K+1, G),
    `slope` (G,); `full` (G,) is the body once every request counts, the infinite ones too.
    `filled` is the number of blocks with at least one request, `per_block` their requests (G,).
    `freedom`: degrees of freedom of the scores, G - 1 less what centring in strata of load takes.
    """

    scale: int
    offset: int
    cdf: Float64Array
    body: Float64Array
    slope: Float64Array
    full: Float64Array
    per_block: Float64Array
    freedom: float

    @property
    def blocks(self) -> int:
        """Number of blocks, G."""
        return len(self.slope)

    @property
    def filled(self) -> int:
        """Blocks that hold at least one request."""
        return int((self.per_block > 0).sum())

    @property
    def requests(self) -> int:
        """Requests of all blocks."""
        return int(self.per_block.sum())

    def position(self, p: float) -> float:
        """The p-quantile in buckets above `offset`; -inf in the zero bin, +inf in overflow."""
        if not self.requests or math.isnan(self.cdf[0]):
            return math.nan
        if p <= self.cdf[0] + TIE and self.cdf[0] > 0:
            return -math.inf
        if p > self.cdf[-1] + TIE:
            return math.inf
        k = max(int(np.searchsorted(self.cdf, p - TIE)), 1)
        rise = self.cdf[k] - self.cdf[k - 1]
        return k - 1 + min(max(float((p - self.cdf[k - 1]) / rise), 0.0), 1.0)

    def log2_quantile(self, p: float) -> float:
        """log2 of the p-quantile, as `BlockHistograms.log2_quantile` of the same distribution."""
        position = self.position(p)
        return (self.offset + position) / 2.0**self.scale if math.isfinite(position) else position

    def share_at(self, position: Float64Array) -> Float64Array:
        """Share of requests up to these positions (buckets above `offset`), any shape."""
        low, part = self._split(position)
        below = self.cdf[low]
        return np.asarray(below + (self.cdf[low + 1] - below) * part)

    def score_at(self, p: Float64Array, position: Float64Array) -> Float64Array:
        """Scores u_g, shape (T, G), for T quantiles and positions."""
        low, part = self._split(position)
        below = self.body[low]
        inside = below + (self.body[low + 1] - below) * part[:, None]
        return np.asarray(p[:, None] * self.slope + inside)

    def _split(self, position: Float64Array) -> tuple[np.ndarray, Float64Array]:
        width = len(self.cdf) - 1
        # Twice as fast as np.clip on arrays of this length, and this is where a search stays.
        inside = np.minimum(np.maximum(position, 0.0), float(width))
        low = np.minimum(inside.astype(np.int64), width - 1)
        return low, inside - low

    def bounded(self, ceiling_log2: float | None = None) -> ScoreTable:
        """The same side with infinite and zero values moved to the nearest finite bucket.

        Infinite values go to the bucket of `ceiling_log2` (a known timeout) or, without one, to
        the largest bucket in use: no true value is overstated, so a bound computed from the result
        holds in the direction that the moved values allow.
        """
        extra = 0
        if ceiling_log2 is not None and self.cdf[-1] < 1:
            top = self.offset + len(self.cdf) - 1
            extra = max(math.ceil(ceiling_log2 * 2.0**self.scale) - top, 0)
        cdf = np.concatenate([self.cdf, np.full(extra, self.cdf[-1])])
        body = np.concatenate([self.body, np.repeat(self.body[-1:], extra, axis=0)])
        cdf[0], cdf[-1] = 0.0, 1.0
        body[0], body[-1] = 0.0, self.full
        return replace(self, cdf=cdf, body=body)


def pooled_table(histograms: BlockHistograms) -> ScoreTable:
    """Scores `u_g(x) = G (p n_g - c_g(x)) / N` of all traffic of one side."""
    offset, cumulative = _cumulative(histograms)
    per_block = histograms.n.astype(np.float64)
    total, blocks = max(float(per_block.sum()), 1.0), histograms.blocks
    weight = blocks * per_block / total
    return ScoreTable(
        scale=histograms.scale,
        offset=offset,
        cdf=cumulative.sum(axis=1) / total,
        body=-blocks * cumulative / total,
        slope=weight,
        full=-weight,
        per_block=per_block,
        freedom=blocks - 1.0,
    )


def standardised_table(
    segments: Mapping[str, BlockHistograms],
    weights: Mapping[str, float],
    groups: Mapping[str, str] | None = None,
) -> ScoreTable:
    """Segment-centred scores of one side re-weighted to given segment shares (they sum to 1).

    `u_g(x) = (p - sum_s w_s F_s(x)) + sum_s (w_s G / N_s) (F_s(x) n_sg - c_sg(x))`: a change of the
    mix from block to block moves nothing. Every segment in `weights` needs at least one request.

    With `groups` the segments of a group are weighted alone and centred together. A group that
    fills few blocks is centred on few numbers; `freedom` counts what that costs: G-L for L groups
    that each fill blocks of their own, G-1 for groups spread over all blocks.
    """
    chosen = [segments[name] for name in weights]
    everything = merge(chosen)
    offset, probe = _cumulative(everything)
    edges = len(probe)
    cdf, body = np.zeros(edges), np.zeros(probe.shape)
    seen, left = 0.0, 0.0
    for members in _members(weights, groups):
        cumulative, per_block = np.zeros(probe.shape), np.zeros(everything.blocks)
        for name in members:
            histograms = segments[name].downscale(everything.scale)
            part = weights[name] / float(histograms.n.sum())
            cumulative += part * _on_grid(histograms, offset, edges)
            per_block += part * histograms.n
        weight = float(per_block.sum())
        leverage = per_block / weight
        summed = cumulative.sum(axis=1)
        cdf += summed
        body += everything.blocks * (summed[:, None] * leverage[None, :] - cumulative)
        square = float((leverage**2).sum())
        seen += weight**2 * square
        left += weight**2 * (square - 2 * float((leverage**3).sum()) + square**2)
    blocks = everything.blocks
    return ScoreTable(
        scale=everything.scale,
        offset=offset,
        cdf=cdf,
        body=body - cdf[:, None],
        slope=np.ones(blocks),
        full=-np.ones(blocks),
        per_block=everything.n.astype(np.float64),
        freedom=blocks - 1.0 if groups is None else blocks * left / seen,
    )


def _members(weights: Mapping[str, float], groups: Mapping[str, str] | None) -> list[list[str]]:
    found: dict[str, list[str]] = {}
    for name in weights:
        found.setdefault(name if groups is None else groups[name], []).append(name)
    return list(found.values())


def _cumulative(histograms: BlockHistograms) -> tuple[int, Float64Array]:
    """(offset, counts up to each edge (K+1, G), zero bin included) without empty outer buckets."""
    used = np.flatnonzero(histograms.counts.any(axis=0))
    if not len(used):
        return histograms.offset, histograms.zero.astype(np.float64)[None, :]
    first, last = int(used[0]), int(used[-1])
    edges = last - first + 2
    return histograms.offset + first, _on_grid(histograms, histograms.offset + first, edges)


def _on_grid(histograms: BlockHistograms, offset: int, edges: int) -> Float64Array:
    """Counts up to each of `edges` bucket edges from `offset` on, shape (edges, G)."""
    cumulative = np.zeros((histograms.counts.shape[1] + 1, histograms.blocks))
    np.cumsum(histograms.counts.T, axis=0, out=cumulative[1:])
    row = np.clip(offset - histograms.offset + np.arange(edges), 0, len(cumulative) - 1)
    return np.asarray(cumulative[row] + histograms.zero)
