"""Which requests a replay sends, in which order: decided by the profile before the first is sent.

Every variant answers every input in each repeat, each time beside other batch-mates. Inputs come in
waves, in random order: a replay that ends early holds complete pairs of a random sample, and both
variants and all repeats of an input are answered close together in time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

_Item = TypeVar("_Item")

VARIANTS = ("baseline", "candidate")
MIN_REPEATS = 2
WAVE_BATCHES = 32
"""Batches of one variant and repeat in a wave; regrouped, few inputs meet the same mates twice."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How inputs are sent: `batch` inputs a request, `concurrency` requests at a time."""

    repeats: int = MIN_REPEATS
    batch: int = 1
    concurrency: int = 4
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One request: some inputs (by position) to one variant in one repeat."""

    number: int
    variant: str
    repeat: int
    inputs: tuple[int, ...]


def calls(n_inputs: int, profile: Profile) -> Iterator[Call]:
    """Every request, numbered in the order of sending; the same for the same arguments.

    >>> [(c.variant[0], c.repeat, c.inputs) for c in calls(4, Profile(batch=2, seed=1))][:3]
    [('b', 0, (1, 0)), ('c', 0, (1, 2)), ('c', 0, (3, 0))]
    """
    order = _shuffled(range(n_inputs), profile, "order")
    number = 0
    for wave, (start, end) in enumerate(_waves(n_inputs, profile.batch)):
        groups = [
            (variant, repeat, tuple(mates[i : i + profile.batch]))
            for variant in VARIANTS
            for repeat in range(profile.repeats)
            for mates in (_shuffled(order[start:end], profile, f"{wave}{variant}{repeat}"),)
            for i in range(0, len(mates), profile.batch)
        ]
        for variant, repeat, mates in _shuffled(groups, profile, f"{wave}"):
            yield Call(number, variant, repeat, mates)
            number += 1


def count_calls(n_inputs: int, profile: Profile) -> int:
    """How many requests `calls` yields.

    >>> count_calls(10, Profile(repeats=2, batch=4))
    12
    """
    batches = sum(
        -(-(end - start) // profile.batch) for start, end in _waves(n_inputs, profile.batch)
    )
    return len(VARIANTS) * profile.repeats * batches


def most_inputs(requests: int, profile: Profile) -> int:
    """The most inputs that so many requests can answer.

    >>> most_inputs(12, Profile(repeats=2, batch=4))
    12
    """
    return requests // (len(VARIANTS) * profile.repeats) * profile.batch


def _waves(n_inputs: int, batch: int) -> list[tuple[int, int]]:
    # The last wave takes the rest: a wave of its own might be a single batch, with fixed mates.
    size = batch * WAVE_BATCHES
    starts = [size * i for i in range(max(n_inputs // size, 1))] if n_inputs else []
    return list(zip(starts, [*starts[1:], n_inputs], strict=True))


def _shuffled(items: Sequence[_Item], profile: Profile, purpose: str) -> list[_Item]:
    shuffled = list(items)
    random.Random(f"{profile.seed}/{purpose}").shuffle(shuffled)  # noqa: S311 - reproducible order
    return shuffled
