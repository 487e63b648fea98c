"""Answers of two periods to different requests, with a known truth."""

import numpy as np

from analyzers.predictions import Predictions
from nibai.predictions import EvidenceLevel, OutputRows, PredictionSample, UnpairedSample
from support.pairs import Pairs, declared

DAY = 86_400.0
START = 1_772_323_200.0  # a midnight
CLASSES = ("a", "b", "c", "d")
DIMENSIONS = 6

_RNG = np.random.default_rng(20_261_126)
_STRAIGHT = _RNG.normal(size=(DIMENSIONS, 4))
_BENT = _RNG.normal(size=(DIMENSIONS, 4))


def model(inputs):
    """An old model, not linear in its inputs."""
    scores = inputs @ _STRAIGHT + 1.4 * np.tanh(inputs @ _BENT) ** 2
    return scores.argmax(axis=1)


def more_of(codes, share, rng, to=0):
    """The same answers with `share` of all of them moved to one class."""
    others = codes != to
    moved = others & (rng.random(len(codes)) < share / others.mean())
    return np.where(moved, to, codes)


def swapped(codes, share, rng, pair=(0, 1)):
    """As many answers moved from one class to another as back: shares stay, answers do not."""
    changed = codes.copy()
    rows = [np.flatnonzero(codes == one) for one in pair]
    few = int(share * len(codes) / 2)
    for here, to in zip(rows, reversed(pair), strict=True):
        changed[rng.choice(here, min(few, *map(len, rows)), replace=False)] = to
    return changed


def traffic(n, rng, *, shift=0.0, hourly=0.0, start=START, seconds=DAY):
    """Inputs (n, 6) and times of a day; `hourly` is how far the mean wanders between hours."""
    times = np.sort(start + rng.random(n) * seconds)
    inputs = rng.normal(size=(n, DIMENSIONS))
    inputs[:, 0] += shift
    inputs[:, 1] *= 1 + 0.3 * shift
    hour = ((times - start) // 3600).astype(int)
    inputs[:, 2] += hourly * rng.normal(size=hour.max() + 1)[hour]
    return inputs, times


def rows(codes, inputs, times):
    return OutputRows(codes.astype(np.int64), inputs, None, times)


def sample(before, after, *, past=None, classes=CLASSES, **options):
    """`before`, `after`, `past`: what `rows` makes."""
    features = tuple(f"x{i}" for i in range(before.features.shape[1]))
    known = features or options.get("segments")
    level = EvidenceLevel.ADJUSTED if known else EvidenceLevel.OUTPUTS_ONLY
    found = UnpairedSample(classes, before, after, features, past=past, **options)
    return PredictionSample(level=level, source="before and after", pairs={}, unpaired=found)


def two_days(seed, n=4000, *, shift=0.0, hourly=0.3, change=None):
    """The same model before and after, unless `change(codes, rng)` alters the new answers."""
    rng = np.random.default_rng([20_261_126, seed])
    old, old_times = traffic(n, rng, hourly=hourly)
    new, new_times = traffic(n, rng, shift=shift, hourly=hourly, start=START + DAY)
    answers = model(new) if change is None else change(model(new), rng)
    return sample(rows(model(old), old, old_times), rows(answers, new, new_times))


def judge(one, claim="same output mix within 2%", **options):
    return Predictions().analyze(declared(claim, **options), Pairs(one))[0]
