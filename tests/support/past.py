"""Simulated traffic of days, as a judged pair with its unchanged past."""

from dataclasses import replace

import numpy as np

from nibai.histogram import BlockHistograms
from nibai.model import (
    BlockSeries,
    Comparison,
    ReplicaSample,
    Side,
    UnitKind,
    Window,
    WindowKind,
)
from nibai.stats.clock import DAY, HOUR, plan_blocks
from nibai.stats.past_pairs import plan_past
from support.simulator import SCENARIOS, simulate

MONDAY = 19_002 * DAY  # 2022-01-10
TUESDAY_AFTER = MONDAY + 8 * DAY


def traffic(seed, scenario="iid", *, days=9, rate=30.0, start=MONDAY):
    """(times in seconds since the epoch, latencies) of one unchanged endpoint."""
    requests = simulate(
        np.random.default_rng(seed), SCENARIOS[scenario], minutes=round(days * 1440), rate=rate
    )
    return start + requests.minute * 60, requests.seconds


def slowed(times, values, since, factor):
    """The same traffic with every latency from a moment on times `factor`."""
    return np.where(times >= since, values * factor, values)


def judged(times, values, *, baseline, candidate, since=0.0, changes=(), labels=None):
    """The comparison of two windows with the past before the candidate."""
    plan = plan_blocks(baseline, candidate)
    past = plan_past(
        plan.baseline,
        plan.candidate,
        plan.blocks,
        unchanged=Window(since, plan.candidate.start),
        changes=changes,
    )
    sides = [
        Side(label, (_replica(times, values, labels, window, plan.blocks),))
        for label, window in (("before", plan.baseline), ("after", plan.candidate))
    ]
    return Comparison(
        "latency",
        WindowKind.LIVE,
        UnitKind.BLOCK,
        *sides,
        same_hosts=True,
        arrivals_known=True,
        gate=plan.gate,
        history=past.history(_parts(times, values, labels, past)),
    )


def hour_pair(times, values, *, at=TUESDAY_AFTER + 10 * HOUR, hours=1.0, **options):
    """An hour after a moment against the same hour of the day before."""
    candidate = Window(at, at + hours * HOUR)
    baseline = Window(at - DAY, at - DAY + hours * HOUR)
    return judged(times, values, baseline=baseline, candidate=candidate, **options)


def without_history(comparison):
    """The comparison as it is where nothing is known of the past."""
    return replace(comparison, history=None)


def _split(labels, size):
    if labels is None:
        return {"": np.ones(size, dtype=bool)}
    return {str(label): labels == label for label in np.unique(labels)}


def _replica(times, values, labels, window, blocks):
    seconds = window.seconds / blocks
    block = np.floor((times - window.start) / seconds).astype(int)
    inside = (block >= 0) & (block < blocks)
    none = np.zeros(blocks, dtype=np.int64)
    segments = {
        label: BlockSeries(
            BlockHistograms.from_values(values[inside & own], block[inside & own], blocks=blocks),
            none, none, np.bincount(block[inside & own], values[inside & own], minlength=blocks),
        )
        for label, own in _split(labels, len(values)).items()
    }  # fmt: skip
    starts = window.start + seconds * np.arange(blocks)
    return ReplicaSample("r1", segments, starts, seconds, window)


def _parts(times, values, labels, past):
    if not past.parts:
        return {}
    stretch, inside = np.divmod(times - past.start, past.period)
    if past.stretches == 1:
        stretch, inside = np.zeros(len(times)), times - past.start
    known = (stretch >= 0) & (stretch < past.stretches) & (inside < past.stretch_seconds)
    known &= inside >= 0
    part = (stretch * past.parts_per_stretch + np.floor(inside / past.part_seconds)).astype(int)
    return {
        label: BlockHistograms.from_values(
            values[known & own], part[known & own], blocks=past.parts
        )
        for label, own in _split(labels, len(values)).items()
    }
