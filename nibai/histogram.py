"""Mergeable base-2 exponential histograms, the currency of nibai.

Bucket `i` at scale `s` covers `(2**(i/2**s), 2**((i+1)/2**s)]`: OpenTelemetry's convention, so
downscaling is an arithmetic shift. Two bins stand outside the buckets: *zero* (values of at most
one nanosecond) and *overflow* (timed out, failed, never completed: an infinite latency).

Guarantee: a quantile lies in the bucket of the sample quantile of the same rank, so at scale 5 it
is off by at most a factor `2**(1/32)` (2.2 %), without regard to how often histograms were merged.

Source: OpenTelemetry data model, "ExponentialHistogram"; the +infinity bin is nibai's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nibai.buckets import regular_buckets
from nibai.errors import HistogramMismatchError

SCALE = 5
"""The scale nibai stores: 32 buckets per doubling."""

ZERO_THRESHOLD = 1e-9
"""Values up to this (one nanosecond for times) count as zero."""

ZERO_BUCKET = -32768
"""Bucket number that stands for the zero bin in additive rows."""

OVERFLOW_BUCKET = 32767
"""Bucket number that stands for the overflow bin in additive rows."""

Int64Array = NDArray[np.int64]
Float64Array = NDArray[np.float64]


def bucket_index(values: ArrayLike, scale: int = SCALE) -> NDArray[np.int32]:
    """Bucket numbers of values in base units, sentinels for zero and infinity included.

    Shape: as `values`. NaN and negative values raise ValueError: quarantine them first.

    >>> bucket_index([1.0, 2.0, 2.000001, 0.0, float("inf")]).tolist()
    [-1, 31, 32, -32768, 32767]
    """
    array = np.asarray(values, dtype=np.float64)
    least, most = (array.min(), array.max()) if array.size else (1.0, 1.0)
    if not least >= 0:  # NaN is least of all
        raise ValueError("a histogram takes values >= 0; remove negative and NaN values first")
    if least > ZERO_THRESHOLD and most < np.inf:
        return regular_buckets(array, scale).astype(np.int32)
    zero, infinite = array <= ZERO_THRESHOLD, np.isposinf(array)
    index = regular_buckets(np.where(zero | infinite, 1.0, array), scale).astype(np.int32)
    index[zero], index[infinite] = ZERO_BUCKET, OVERFLOW_BUCKET
    return index


@dataclass(frozen=True, slots=True, eq=False)
class BlockHistograms:
    """Histograms of G consecutive blocks on one common bucket range.

    `counts` has shape (G, K): column k is bucket `offset + k`. `zero` and `overflow` have shape
    (G,). All counts are int64; rows of corrected data may hold negative counts before summing.
    One block is an ordinary histogram; see `Histogram`.
    """

    scale: int
    offset: int
    counts: Int64Array
    zero: Int64Array
    overflow: Int64Array

    def __post_init__(self) -> None:
        if self.counts.ndim != 2 or self.zero.shape != (len(self.counts),):  # noqa: PLR2004 - (G, K)
            raise HistogramMismatchError(
                "counts must be (G, K) with zero and overflow of shape (G,)"
            )
        if self.overflow.shape != self.zero.shape:
            raise HistogramMismatchError("zero and overflow must both have shape (G,)")

    # -- making ---------------------------------------------------------------------------
    @classmethod
    def empty(cls, blocks: int, scale: int = SCALE) -> BlockHistograms:
        """G blocks without a single count."""
        none = np.zeros(blocks, dtype=np.int64)
        return cls(scale, 0, np.zeros((blocks, 0), dtype=np.int64), none, none.copy())

    @classmethod
    def from_rows(
        cls,
        block: ArrayLike,
        bucket: ArrayLike,
        count: ArrayLike,
        *,
        blocks: int,
        scale: int = SCALE,
    ) -> BlockHistograms:
        """Sum additive rows (block 0..G-1, bucket number or sentinel, count)."""
        block_ = np.asarray(block, dtype=np.int64)
        bucket_ = np.asarray(bucket, dtype=np.int64)
        count_ = np.asarray(count, dtype=np.int64)
        is_zero, is_over = bucket_ == ZERO_BUCKET, bucket_ == OVERFLOW_BUCKET
        regular = ~(is_zero | is_over)
        zero, overflow = (_sum_by(block_[m], count_[m], blocks) for m in (is_zero, is_over))
        if not regular.any():
            return cls(scale, 0, np.zeros((blocks, 0), dtype=np.int64), zero, overflow)
        offset = int(bucket_[regular].min())
        width = int(bucket_[regular].max()) - offset + 1
        cell = block_[regular] * width + (bucket_[regular] - offset)
        counts = _sum_by(cell, count_[regular], blocks * width).reshape(blocks, width)
        return cls(scale, offset, counts, zero, overflow)

    @classmethod
    def from_values(
        cls,
        values: ArrayLike,
        block: ArrayLike | None = None,
        *,
        blocks: int = 1,
        scale: int = SCALE,
    ) -> BlockHistograms:
        """Count values in base units; `block` numbers them 0..G-1 (default: all in block 0)."""
        index = bucket_index(values, scale)
        where = (
            np.zeros(index.shape, dtype=np.int64)
            if block is None
            else np.asarray(block, dtype=np.int64)
        )
        return cls.from_rows(
            where, index, np.ones(index.shape, dtype=np.int64), blocks=blocks, scale=scale
        )

    # -- combining ------------------------------------------------------------------------
    @property
    def blocks(self) -> int:
        """Number of blocks, G."""
        return len(self.zero)

    @property
    def n(self) -> Int64Array:
        """Requests per block, shape (G,), those in the zero and overflow bins included."""
        return np.asarray(self.counts.sum(axis=1) + self.zero + self.overflow, dtype=np.int64)

    def downscale(self, scale: int) -> BlockHistograms:
        """The same counts at a coarser scale (exact: buckets are joined whole)."""
        if scale > self.scale:
            raise HistogramMismatchError(f"scale {self.scale} cannot be refined to {scale}")
        shift = self.scale - scale
        if shift == 0 or self.counts.shape[1] == 0:
            return BlockHistograms(
                scale, self.offset >> shift, self.counts, self.zero, self.overflow
            )
        target = (self.offset + np.arange(self.counts.shape[1])) >> shift
        starts = np.flatnonzero(np.r_[True, np.diff(target) > 0])
        joined = np.add.reduceat(self.counts, starts, axis=1)
        return BlockHistograms(scale, int(target[0]), joined, self.zero, self.overflow)

    def merge(self, other: BlockHistograms) -> BlockHistograms:
        """Block-wise sum, at the coarser of the two scales."""
        return merge([self, other])

    def total(self) -> BlockHistograms:
        """All blocks added into one."""
        return self.regroup(np.zeros(self.blocks, dtype=np.int64), blocks=1)

    def regroup(self, into: ArrayLike, *, blocks: int) -> BlockHistograms:
        """Add block g to block `into[g]` of the result; negative targets are left out."""
        target = np.asarray(into, dtype=np.int64)
        keep = target >= 0
        counts = np.zeros((blocks, self.counts.shape[1]), dtype=np.int64)
        np.add.at(counts, target[keep], self.counts[keep])
        zero, overflow = (
            _sum_by(target[keep], a[keep], blocks) for a in (self.zero, self.overflow)
        )
        return BlockHistograms(self.scale, self.offset, counts, zero, overflow)

    def take(self, blocks: ArrayLike) -> BlockHistograms:
        """The blocks at these positions, in this order."""
        rows = np.asarray(blocks)
        return BlockHistograms(
            self.scale, self.offset, self.counts[rows], self.zero[rows], self.overflow[rows]
        )

    # -- reading --------------------------------------------------------------------------
    def cumulative_at(self, log2_value: ArrayLike) -> Float64Array:
        """Requests of at most `2**log2_value` in each block, shape (G,) + shape of the argument.

        Log-uniform within a bucket: the exact inverse of `log2_quantile` of the same counts.
        The zero bin counts from -infinity on, the overflow bin only at +infinity.
        """
        x = np.asarray(log2_value, dtype=np.float64)
        width = self.counts.shape[1]
        cumulative = np.zeros((self.blocks, width + 1))
        np.cumsum(self.counts, axis=1, out=cumulative[:, 1:])
        position = np.clip(
            np.nan_to_num(x, posinf=np.inf) * 2.0**self.scale - self.offset, 0, width
        )
        low = np.minimum(position.astype(np.int64), max(width - 1, 0))
        part = position - low if width else np.zeros_like(position)
        high = np.minimum(low + 1, width)
        base = cumulative[:, low]
        inside = base + (cumulative[:, high] - base) * part
        zero = self.zero.reshape((-1,) + (1,) * x.ndim)
        overflow = self.overflow.reshape((-1,) + (1,) * x.ndim)
        return np.asarray(inside + zero + np.where(np.isposinf(x), overflow, 0), dtype=np.float64)

    def log2_quantile(self, p: ArrayLike) -> Float64Array:
        """log2 of the quantiles of all blocks together, shape of `p`.

        -inf when the rank falls in the zero bin, +inf when it falls in the overflow bin, NaN when
        there is nothing at all. Error: at most half a bucket beyond that of the rank itself.
        """
        p_ = np.asarray(p, dtype=np.float64)
        counts: Int64Array = self.counts.sum(axis=0)
        zero = int(self.zero.sum())
        total = float(self.n.sum())
        if total == 0:
            return np.full(p_.shape, np.nan)
        target = p_ * total
        cumulative = zero + np.cumsum(counts)
        k = np.searchsorted(cumulative, target - 1e-15 * total, side="left")
        safe = np.minimum(k, max(len(counts) - 1, 0))
        if len(counts):
            in_bin = np.maximum(counts[safe], 1)
            part = np.clip((target - (cumulative[safe] - counts[safe])) / in_bin, 0.0, 1.0)
            value = (self.offset + safe + part) / 2.0**self.scale
        else:
            value = np.full(p_.shape, np.inf)
        value = np.where(k >= len(counts), np.inf, value)
        return np.asarray(np.where((target <= zero) & (zero > 0), -np.inf, value), dtype=np.float64)

    def block_log2_quantiles(self, p: Sequence[float]) -> Float64Array:
        """log2 of the quantiles of every block by itself, shape (P, G); see `log2_quantile`.

        >>> blocks = BlockHistograms.from_values([1.0, 4.0, 4.0], [0, 2, 2], blocks=3)
        >>> blocks.block_log2_quantiles([1.0]).tolist()
        [[0.0, nan, 2.0]]
        """
        cumulative = self.zero[:, None] + np.cumsum(self.counts, axis=1)
        total, width = self.n.astype(np.float64), self.counts.shape[1]
        rows, found = np.arange(self.blocks), np.full((len(p), self.blocks), np.inf)
        for i, share in enumerate(p):
            target = share * total
            if width:
                k = (cumulative < (target - 1e-15 * total)[:, None]).sum(axis=1)
                at = np.minimum(k, width - 1)
                inside = self.counts[rows, at]
                below = cumulative[rows, at] - inside
                part = np.clip((target - below) / np.maximum(inside, 1), 0.0, 1.0)
                value = (self.offset + at + part) / 2.0**self.scale
                found[i] = np.where(k < width, value, np.inf)
            found[i, (target <= self.zero) & (self.zero > 0)] = -np.inf
            found[i, total == 0] = np.nan
        return found

    def quantile(self, p: ArrayLike) -> Float64Array:
        """Quantiles of all blocks together in base units, shape of `p` (see `log2_quantile`)."""
        return np.asarray(np.exp2(self.log2_quantile(p)), dtype=np.float64)


def merge(histograms: Iterable[BlockHistograms]) -> BlockHistograms:
    """Block-wise sum of histograms with equal block counts, at the coarsest scale present."""
    parts = list(histograms)
    if not parts:
        raise HistogramMismatchError("nothing to merge")
    if len({part.blocks for part in parts}) > 1:
        raise HistogramMismatchError(
            f"cannot merge {sorted({part.blocks for part in parts})} blocks"
        )
    scale = min(part.scale for part in parts)
    parts = [part.downscale(scale) for part in parts]
    zero: Int64Array = np.stack([part.zero for part in parts]).sum(axis=0)
    overflow: Int64Array = np.stack([part.overflow for part in parts]).sum(axis=0)
    filled = [part for part in parts if part.counts.shape[1]]
    if not filled:
        return BlockHistograms(scale, 0, np.zeros((len(zero), 0), dtype=np.int64), zero, overflow)
    offset = min(part.offset for part in filled)
    width = max(part.offset + part.counts.shape[1] for part in filled) - offset
    counts = np.zeros((len(zero), width), dtype=np.int64)
    for part in filled:
        start = part.offset - offset
        counts[:, start : start + part.counts.shape[1]] += part.counts
    return BlockHistograms(scale, offset, counts, zero, overflow)


def concatenate(histograms: Sequence[BlockHistograms]) -> BlockHistograms:
    """The blocks of several histograms one after the other, at the coarsest scale present."""
    blocks = sum(part.blocks for part in histograms)
    first, spread = 0, []
    for part in histograms:
        spread.append(part.regroup(first + np.arange(part.blocks), blocks=blocks))
        first += part.blocks
    return merge(spread)


def from_otel_exponential(
    *, scale: int, zero_count: int, positive_offset: int, positive_counts: Sequence[int]
) -> BlockHistograms:
    """One block from the fields of an OTLP exponential-histogram point, at most scale 5."""
    counts = np.asarray([list(positive_counts)], dtype=np.int64).reshape(1, -1)
    zero = np.array([zero_count], dtype=np.int64)
    point = BlockHistograms(scale, positive_offset, counts, zero, np.zeros(1, dtype=np.int64))
    return point.downscale(min(scale, SCALE))


def to_otel_exponential(histogram: BlockHistograms) -> tuple[int, int, int, list[int]]:
    """(scale, zero_count, positive offset, positive bucket counts) of all blocks together.

    OTLP has no infinite bin: overflow is not contained and must be reported beside it.
    """
    total = histogram.total()
    return total.scale, int(total.zero[0]), total.offset, [int(c) for c in total.counts[0]]


def _sum_by(key: Int64Array, count: Int64Array, size: int) -> Int64Array:
    # bincount adds in float64, exact below 2**53 and much faster than np.add.at.
    return np.bincount(key, weights=count, minlength=size).astype(np.int64)
