"""What a change did to the mix of answers when old and new answered different requests.

Puts the parts together: rare classes joined, blocks of time chosen, inputs (or segments) held
constant, and the real change ranked among fake ones where the past is known. Source: nibai's
drift.md, section 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from nibai.histogram import Float64Array
from nibai.predictions import OutputRows, UnpairedSample
from nibai.stats.block_intervals import Differences
from nibai.stats.domain import Domain
from nibai.stats.output_blocks import Int64Array, block_numbers, block_seconds
from nibai.stats.placebo_points import PlaceboRank, fake_points, rank
from nibai.stats.poststratify import cells_of, poststratify
from nibai.stats.reweight import MIN_ROWS, Period, adjust, lumped, naive
from nibai.stats.sides import in_segment
from nibai.stats.two_samples import BlockTest, TableTest, energy_test, g_test, table_test

MAX_CLASSES = 20
RARE_ANSWERS = 20
"""Answers in both periods below which a class is joined with other rare ones."""

RARE = "(rare answers)"


@dataclass(frozen=True, slots=True, eq=False)
class MixEffect:
    """`naive` = inputs + `model` per class; without a `model` nothing could be held constant.

    `seconds` is the length of a block, None without a clock. Of features there is a `domain` and
    `moved_too_far` (a reason or None), of segments the `coverage`. `outputs` and `inputs` describe
    how far either moved as a whole, `table` the same as a test of independent rows corrected for
    blocks.
    """

    classes: tuple[str, ...]
    rows: tuple[int, int]
    seconds: float | None
    naive: Differences
    model: Differences | None
    outputs: BlockTest
    table: TableTest
    inputs: BlockTest | None = None
    domain: Domain | None = None
    moved_too_far: str | None = None
    coverage: tuple[float, float] | None = None
    rank: PlaceboRank = PlaceboRank(0, 0)  # noqa: RUF009 - frozen


def mix_effect(sample: UnpairedSample, rng: np.random.Generator, level: float = 0.95) -> MixEffect:
    """The effect on the share of every class; both periods need rows."""
    sample = _common_classes(sample)
    sides = (sample.before, sample.after)
    seconds = _seconds(sides)
    blocks = tuple(block_numbers(side.times, side.n, seconds or math.inf) for side in sides)
    old, new = (_period(side, at) for side, at in zip(sides, blocks, strict=True))
    k = len(sample.classes)
    plain = naive(old, new, k, rng)
    counts = [_counts(period, k) for period in (old, new)]
    effect = MixEffect(
        sample.classes,
        (old.n, new.n),
        seconds,
        plain,
        None,
        table_test(counts[0], counts[1], rng),
        g_test(counts[0].sum(axis=0), counts[1].sum(axis=0), _inflation(plain, counts)),
    )
    if min(effect.rows) < MIN_ROWS:
        return effect
    if sample.features:
        found = adjust(old, new, k, rng, level)
        scale = np.concatenate([old.features, new.features]).std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        return replace(
            effect,
            model=found.model,
            domain=found.domain,
            moved_too_far=found.moved_too_far,
            inputs=energy_test(
                old.features / scale, new.features / scale, (blocks[0], blocks[1]), rng
            ),
            rank=_ranked(sample, seconds, found.model.studentised()),
        )
    if sample.segments:
        cells = [_cells(sample, *side) for side in zip(sides, blocks, strict=True)]
        stratified = poststratify(cells[0], cells[1], rng)
        return replace(effect, model=stratified.model, coverage=stratified.coverage)
    return effect


def within_segment(sample: UnpairedSample, wanted: tuple[str, str] | None) -> UnpairedSample:
    """Only the rows of a segment; the same sample where none is asked for."""
    if wanted is None:
        return sample
    chosen = np.array([in_segment(name, wanted) for name in sample.segments], dtype=np.bool_)

    def cut(rows: OutputRows) -> OutputRows:
        none = np.zeros(rows.n, dtype=np.bool_)
        keep = none if rows.segments is None else chosen[rows.segments]
        return _taken(rows, keep)

    past = None if sample.past is None else cut(sample.past)
    return replace(sample, before=cut(sample.before), after=cut(sample.after), past=past)


def _taken(rows: OutputRows, keep: slice | np.ndarray) -> OutputRows:
    return OutputRows(
        rows.codes[keep],
        rows.features[keep],
        None if rows.segments is None else rows.segments[keep],
        None if rows.times is None else rows.times[keep],
    )


def _common_classes(sample: UnpairedSample) -> UnpairedSample:
    rows = [sample.before, sample.after, *([sample.past] if sample.past is not None else [])]
    judged = [sample.before.codes, sample.after.codes]
    codes, names = lumped(judged, sample.classes, RARE_ANSWERS, MAX_CLASSES, RARE)
    new = {name: i for i, name in enumerate(names)}
    rest = new.get(RARE, len(names) - 1)
    moved = np.array([new.get(name, rest) for name in sample.classes], dtype=np.int64)
    made = [replace(one, codes=moved[one.codes]) for one in rows]
    past = made[2] if len(made) > len(judged) else None
    return replace(
        sample,
        classes=names,
        before=replace(sample.before, codes=codes[0]),
        after=replace(sample.after, codes=codes[1]),
        past=past,
    )


def _seconds(sides: tuple[OutputRows, OutputRows]) -> float | None:
    """The longer block of the two periods, by the class whose share varies most."""
    found = []
    for side in sides:
        if side.times is None:
            return None
        top = int(np.argmax(np.bincount(side.codes))) if side.n else 0
        found.append(block_seconds(side.times, (side.codes == top).astype(np.float64)))
    return max(found)


def _period(rows: OutputRows, blocks: Int64Array) -> Period:
    return Period(rows.codes, rows.features, blocks)


def _counts(period: Period, classes: int) -> Int64Array:
    groups = int(period.blocks.max(initial=-1)) + 1
    flat = np.bincount(period.blocks * classes + period.codes, minlength=groups * classes)
    return flat.reshape(groups, classes)


def _inflation(plain: Differences, counts: list[Int64Array]) -> float:
    """How many times the variance of independent rows the blocks show, at least 1."""
    independent: Float64Array | float = 0.0
    for side in counts:
        n = side.sum()
        share = side.sum(axis=0) / n
        independent = independent + share * (1 - share) / n
    total = float(np.sum(independent))
    return max(float((plain.se**2).sum()) / total, 1.0) if total > 0 else 1.0


def _cells(sample: UnpairedSample, rows: OutputRows, blocks: Int64Array) -> dict[str, Int64Array]:
    segments = np.zeros(rows.n, dtype=np.int64) if rows.segments is None else rows.segments
    return cells_of(rows.codes, segments, blocks, sample.segments, len(sample.classes))


def _ranked(sample: UnpairedSample, seconds: float | None, real: float) -> PlaceboRank:
    """The real change among fake ones in everything that lies before it."""
    before, after = sample.before.times, sample.after.times
    if before is None or after is None or seconds is None:
        return PlaceboRank(0, 0)
    calm = _joined(sample.past, sample.before)
    if calm.times is None:
        return PlaceboRank(0, 0)
    spans = (float(before[-1] - before[0]), float(after[-1] - after[0]))
    statistic = _statistic(calm, seconds, len(sample.classes))
    return rank(real, fake_points(calm.times, *spans, statistic))


def _statistic(calm: OutputRows, seconds: float, classes: int) -> Callable[[slice, slice], float]:
    def studentised(old: slice, new: slice) -> float:
        sides = [_taken(calm, part) for part in (old, new)]
        if min(side.n for side in sides) < MIN_ROWS:
            return math.nan
        periods = [_period(side, block_numbers(side.times, side.n, seconds)) for side in sides]
        found = adjust(periods[0], periods[1], classes, None)
        return math.nan if found.moved_too_far else found.model.studentised()

    return studentised


def _joined(past: OutputRows | None, before: OutputRows) -> OutputRows:
    if past is None or past.times is None or before.times is None:
        return before
    times = np.concatenate([past.times, before.times])
    order = np.argsort(times, kind="stable")
    return OutputRows(
        np.concatenate([past.codes, before.codes])[order],
        np.concatenate([past.features, before.features])[order],
        None,
        times[order],
    )
