"""The judged statistic on the endpoint's own past: PBS-AR of pairs of windows without a change.

A past pair is judged exactly as the judged pair is: as many blocks, all traffic pooled or at the
same segment shares, the same floors. All pairs are evaluated at once, on one grid of bucket edges.
Source: nibai's calibration.md, section 2, and statistics.md, sections 5 and 8.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nibai.histogram import BlockHistograms, Float64Array, Int64Array, merge
from nibai.model import History
from nibai.stats.floors import raw_floor
from nibai.stats.inversion import MIN_BLOCKS, PairedScores
from nibai.stats.score import TIE, ScoreTable
from nibai.stats.sides import in_segment
from nibai.stats.variance import t_statistic, variance_factor

FILLED_SHARE = 0.9
"""A past window with fewer non-empty blocks than this share of the judged one's is no match."""

_Part = tuple[BlockHistograms, float | None]


@dataclass(frozen=True, eq=False)
class PastPairs:
    """Past pairs of one metric and segment.

    `weights` are the segment shares at which the judged pair was compared, None for all traffic
    pooled; a single segment is pooled too. `inverted`: higher values are better. `filled`:
    non-empty blocks of the judged pair.
    """

    history: History
    segment: tuple[str, str] | None
    weights: Mapping[str, float] | None
    inverted: bool
    filled: int

    @cached_property
    def usable(self) -> np.ndarray:
        """Valid pairs of windows as full as the judged ones, shape (J,)."""
        least = max(MIN_BLOCKS, FILLED_SHARE * self.filled)
        full = self._load.complete & (self._load.filled >= least)
        first, second = self._ends
        return np.asarray(self.history.valid & full[first] & full[second])

    def standing(
        self, p: float, shift: float = 0.0, *, among: np.ndarray | None = None
    ) -> Float64Array:
        """t(shift)/sqrt(f) of every pair, shape (J,); NaN where it cannot be judged.

        A critical value is passed exactly where the log2 ratio `shift` is outside the interval; at
        0 this is about Student's t on unchanged data. `among` (J,) leaves out other pairs.
        """
        found = np.full(len(self.history.pairs), np.nan)
        first, second = self._ends
        enough = self.usable & (self._load.requests[first] >= raw_floor(p))
        enough &= self._load.requests[second] >= raw_floor(p)
        at = np.flatnonzero(enough if among is None else enough & among)
        if not len(at):
            return found
        windows, b, c = self._windows, self._row(first[at]), self._row(second[at])
        position = windows.positions(p)
        inside = np.isfinite(position[b]) & np.isfinite(position[c])
        at, b, c = at[inside], b[inside], c[inside]
        # At the estimate both sides stand at their own quantile: no search is needed.
        factor = variance_factor(
            windows.scores(p, b, position[b]) - windows.scores(p, c, position[c])
        )
        moved = shift * 2.0**windows.scale
        x = windows.common_positions(p, b, c, moved)
        found[at] = t_statistic(
            windows.scores(p, b, x) - windows.scores(p, c, x - moved)
        ) / np.sqrt(factor)
        return found

    def pair(self, j: int) -> PairedScores:
        """Pair j in the order of the log ratio, for its interval."""
        first, second = (int(self._row(side[[j]])[0]) for side in self._ends)
        return PairedScores(self._windows.table(first), self._windows.table(second))

    def block_quantiles(self, p: float) -> tuple[Float64Array, Float64Array]:
        """log2 p-quantiles of the blocks of both windows of every usable pair, shape (J, G) each.

        All traffic as it came, in the order of the log ratio; NaN where a block has none, and for
        other pairs.
        """
        shape = len(self.history.pairs), self.history.blocks
        found = np.full(shape, np.nan), np.full(shape, np.nan)
        if not len(self._kept):
            return found
        begin = (
            self._starts[self._kept][:, None]
            + np.arange(self.history.blocks) * self.history.parts_per_block
        )
        blocks = np.unique(begin)
        parts = merge(self._chosen.values())
        counts, zero, overflow = (
            running[blocks + self.history.parts_per_block] - running[blocks]
            for running in map(_running, (parts.counts, parts.zero, parts.overflow))
        )
        together = BlockHistograms(parts.scale, parts.offset, counts, zero, overflow)
        quantiles = block_quantiles(together, p)[np.searchsorted(blocks, begin)]
        for side, ends in zip(found, self._ends, strict=True):
            side[self.usable] = quantiles[self._row(ends[self.usable])]
        return found

    # -- windows --------------------------------------------------------------------------
    @cached_property
    def _ends(self) -> tuple[Int64Array, Int64Array]:
        """Index of both windows of every pair in the order of the log ratio."""
        index = np.searchsorted(self._starts, self.history.pairs)
        first, second = index[:, 0], index[:, 1]
        return (second, first) if self.inverted else (first, second)

    @cached_property
    def _starts(self) -> Int64Array:
        """First parts of all windows; most windows are in two pairs."""
        return np.unique(self.history.pairs)

    @cached_property
    def _chosen(self) -> dict[str, BlockHistograms]:
        return {
            label: histograms
            for label, histograms in self.history.segments.items()
            if in_segment(label, self.segment)
        }

    @cached_property
    def _load(self) -> _Load:
        """Requests of all windows, which say cheaply whose tables are worth making."""
        counted: list[Int64Array] = []  # also where a judged segment is one the past never had
        if self.weights is None and self._chosen:
            counted = [np.sum([part.n for part in self._chosen.values()], axis=0)]
        elif self.weights is not None and set(self.weights) <= set(self._chosen):
            counted = [self._chosen[label].n for label in self.weights]
        return _load(counted, self._edges(self._starts), self.history.blocks)

    @cached_property
    def _kept(self) -> Int64Array:
        """Index of the windows of usable pairs; only they have tables."""
        return np.unique([side[self.usable] for side in self._ends])

    def _row(self, window: Int64Array) -> Int64Array:
        """Rows of the tables of windows that are kept."""
        return np.searchsorted(self._kept, window)

    @cached_property
    def _windows(self) -> _Windows:
        return _windows(
            self._parts(self._chosen), self._edges(self._starts[self._kept]), self.history.blocks
        )

    def _edges(self, starts: Int64Array) -> Int64Array:
        """First parts of the blocks of windows, and where the last one ends, shape (W, G+1)."""
        parts = np.arange(self.history.blocks + 1) * self.history.parts_per_block
        return np.asarray(starts[:, None] + parts)

    def _parts(self, chosen: Mapping[str, BlockHistograms]) -> list[_Part]:
        """Segments with their weights; one without a weight holds all that is pooled."""
        if self.weights is None:
            return [(merge(chosen.values()), None)] if chosen else []
        if len(self.weights) == 1:
            return [(chosen[label], None) for label in self.weights]
        scale = min(chosen[label].scale for label in self.weights)
        grid = merge([chosen[label] for label in self.weights])
        return [
            (_on(grid, chosen[label].downscale(scale)), weight)
            for label, weight in self.weights.items()
        ]


@dataclass(frozen=True, slots=True, eq=False)
class _Load:
    """Requests of W windows by block, shape (W, G); `complete`: every compared segment has some."""

    per_block: Int64Array
    complete: np.ndarray

    @property
    def filled(self) -> Int64Array:
        """Non-empty blocks, shape (W,)."""
        return np.asarray((self.per_block > 0).sum(axis=1))

    @property
    def requests(self) -> Int64Array:
        """Requests, shape (W,)."""
        return np.asarray(self.per_block.sum(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class _Windows:
    """Score tables (see `score.ScoreTable`) of W windows on one grid of K+1 bucket edges.

    `cdf` has shape (W, K+1), `body` (W, K+1, G), `slope` and `per_block` (W, G).
    """

    scale: int
    offset: int
    cdf: Float64Array
    body: Float64Array
    slope: Float64Array
    full: Float64Array
    per_block: Float64Array

    def positions(self, p: float) -> Float64Array:
        """The p-quantile in buckets above `offset`, shape (W,); NaN in the zero or overflow bin."""
        inside = (self.cdf[:, 0] < p - TIE) & (self.cdf[:, -1] >= p - TIE)
        return np.where(inside, _crossing(self.cdf, p - TIE, p), np.nan)

    def scores(self, p: float, window: Int64Array, position: Float64Array) -> Float64Array:
        """Block scores u_g of some windows at one position each, shape (len(window), G)."""
        low, part = self._split(position)
        below = self.body[window, low]
        inside = below + (self.body[window, low + 1] - below) * part[:, None]
        return np.asarray(p * self.slope[window] + inside)

    def common_positions(
        self, p: float, b: Int64Array, c: Int64Array, moved: float
    ) -> Float64Array:
        """Where F_b(x) + F_c(x - moved) = 2p for pairs of windows, in buckets above `offset`."""
        edges = np.arange(self.cdf.shape[1] + math.ceil(abs(moved)), dtype=np.float64)
        edges += min(math.floor(moved), 0)
        knots = np.unique(np.concatenate([edges, edges + moved % 1.0]))
        joint = self._share(b, knots) + self._share(c, knots - moved)
        at = _crossing(joint, 2 * p, 2 * p)
        low = np.clip(at.astype(np.int64), 0, len(knots) - 2)
        return np.asarray(knots[low] + (at - low) * (knots[low + 1] - knots[low]))

    def table(self, window: int) -> ScoreTable:
        """One window on its own."""
        return ScoreTable(
            scale=self.scale,
            offset=self.offset,
            cdf=self.cdf[window],
            body=self.body[window],
            slope=self.slope[window],
            full=self.full[window],
            per_block=self.per_block[window],
            freedom=self.slope.shape[1] - 1.0,
        )

    def _share(self, window: Int64Array, position: Float64Array) -> Float64Array:
        low, part = self._split(position)
        rows = self.cdf[window]
        return np.asarray(rows[:, low] + (rows[:, low + 1] - rows[:, low]) * part)

    def _split(self, position: Float64Array) -> tuple[Int64Array, Float64Array]:
        width = self.cdf.shape[1] - 1
        inside = np.clip(position, 0.0, float(width))
        low = np.minimum(inside.astype(np.int64), width - 1)
        return low, inside - low


def block_quantiles(histograms: BlockHistograms, p: float) -> Float64Array:
    """log2 of each block's p-quantile, shape (G,); NaN where it is empty, zero or infinite."""
    width = histograms.counts.shape[1]
    cumulative = np.zeros((histograms.blocks, max(width, 1) + 1))
    np.cumsum(histograms.counts, axis=1, out=cumulative[:, 1 : width + 1])
    cumulative += histograms.zero[:, None]
    share = cumulative / np.maximum(histograms.n, 1)[:, None]
    inside = (share[:, 0] < p - TIE) & (share[:, -1] >= p - TIE)
    found = (histograms.offset + _crossing(share, p - TIE, p)) / 2.0**histograms.scale
    return np.where(inside, found, np.nan)


def _crossing(rising: Float64Array, reached: float, level: float) -> Float64Array:
    """Where each row first reaches `reached`, linear to `level` within a step; shape (rows,)."""
    k = np.maximum(np.argmax(rising >= reached, axis=1), 1)
    rows = np.arange(len(rising))
    before, after = rising[rows, k - 1], rising[rows, k]
    rise = np.where(after > before, after - before, 1.0)
    return np.asarray(k - 1 + np.clip((level - before) / rise, 0.0, 1.0))


def _load(counted: list[Int64Array], edges: Int64Array, blocks: int) -> _Load:
    """Requests of windows from those of the parts, one array for each compared segment."""
    windows = len(edges)
    per_block = np.zeros((windows, blocks), dtype=np.int64)
    complete = np.full(windows, bool(counted))
    for n in counted:
        own = np.diff(_running(n)[edges], axis=1)
        complete &= own.any(axis=1)
        per_block += own
    return _Load(per_block, complete)


def _windows(parts: list[_Part], edges: Int64Array, blocks: int) -> _Windows:
    """Tables of windows whose blocks have these edges, of segments on one bucket range."""
    windows = len(edges)
    first = parts[0][0]
    buckets = max(first.counts.shape[1], 1) + 1
    cdf, body = np.zeros((windows, buckets)), np.zeros((windows, buckets, blocks))
    slope, per_block = np.ones((windows, blocks)), np.zeros((windows, blocks))
    for histograms, weight in parts:
        cumulative, n = _cumulative(histograms, edges)
        total = np.maximum(n.sum(axis=1), 1.0)
        per_block += n
        share = cumulative.sum(axis=2) / total[:, None]
        if weight is None:
            slope = blocks * n / total[:, None]
            cdf, body = share, -blocks * cumulative / total[:, None, None]
            break
        centred = share[:, :, None] * n[:, None, :] - cumulative
        cdf += weight * share
        body += weight * ((blocks / total)[:, None, None] * centred - share[:, :, None])
    return _Windows(first.scale, first.offset, cdf, body, slope, -slope, per_block)


def _cumulative(
    histograms: BlockHistograms, edges: Int64Array
) -> tuple[Float64Array, Float64Array]:
    """(counts up to every bucket edge (W, K+1, G), requests per block (W, G)) of windows."""
    counts, zero, n = (
        np.diff(_running(a)[edges], axis=1)
        for a in (histograms.counts, histograms.zero, histograms.n)
    )
    width = counts.shape[2]
    cumulative = np.zeros((len(edges), max(width, 1) + 1, counts.shape[1]))
    np.cumsum(counts.transpose(0, 2, 1), axis=1, out=cumulative[:, 1 : width + 1])
    return cumulative + zero[:, None, :], n.astype(np.float64)


def _running(counts: Int64Array) -> Int64Array:
    """Sums of all parts before part i, so that any window is a difference."""
    none = np.zeros((1, *counts.shape[1:]), dtype=np.int64)
    return np.concatenate([none, np.cumsum(counts, axis=0)])


def _on(grid: BlockHistograms, histograms: BlockHistograms) -> BlockHistograms:
    """The same counts on the wider bucket range of `grid`."""
    counts = np.zeros((histograms.blocks, grid.counts.shape[1]), dtype=np.int64)
    begin = histograms.offset - grid.offset if histograms.counts.shape[1] else 0
    counts[:, begin : begin + histograms.counts.shape[1]] = histograms.counts
    return BlockHistograms(grid.scale, grid.offset, counts, histograms.zero, histograms.overflow)
