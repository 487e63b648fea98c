"""The segments that both sides have, their shares of the requests, and what these cover.

Source: nibai's statistics.md, section 8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from nibai.histogram import BlockHistograms

MIN_REQUESTS = 100
"""Requests per side below which a segment is not compared (design choice)."""

FULL_COVERAGE = 0.9
PARTIAL_COVERAGE = 0.5

Segments = Mapping[str, BlockHistograms]


class Scope(StrEnum):
    """What a like-for-like verdict may speak about, given the coverage of the kept segments."""

    ALL_TRAFFIC = "all traffic"
    KEPT_SEGMENTS = "the kept segments"
    NOTHING = "nothing"


def scope_of(coverage: tuple[float, float]) -> Scope:
    """All traffic from 90 % coverage on both sides on, the kept segments from 50 % on."""
    least = min(coverage)
    if least >= FULL_COVERAGE:
        return Scope.ALL_TRAFFIC
    return Scope.KEPT_SEGMENTS if least >= PARTIAL_COVERAGE else Scope.NOTHING


def common_support(
    baseline: Segments, candidate: Segments, min_requests: int = MIN_REQUESTS
) -> tuple[str, ...]:
    """Segments with enough requests on both sides, in the baseline's order."""
    return common_names(_sizes(baseline), _sizes(candidate), min_requests)


def shares(segments: Segments, kept: Sequence[str]) -> dict[str, float]:
    """Request shares of the kept segments, summing to 1."""
    return shares_of(_sizes(segments), kept)


def common_names(
    baseline: Mapping[str, int], candidate: Mapping[str, int], least: int = MIN_REQUESTS
) -> tuple[str, ...]:
    """Segments with enough requests on both sides, from their numbers of requests."""
    enough = max(least, 1)
    return tuple(
        name
        for name, size in baseline.items()
        if name in candidate and min(size, candidate[name]) >= enough
    )


def shares_of(sizes: Mapping[str, int], kept: Sequence[str]) -> dict[str, float]:
    """Shares of the kept segments, summing to 1, from their numbers of requests."""
    total = sum(sizes[name] for name in kept)
    return {name: sizes[name] / total for name in kept}


def requests_of(histograms: BlockHistograms) -> int:
    """Requests of all blocks of a segment."""
    return int(histograms.n.sum())


def _sizes(segments: Segments) -> dict[str, int]:
    return {name: requests_of(histograms) for name, histograms in segments.items()}
