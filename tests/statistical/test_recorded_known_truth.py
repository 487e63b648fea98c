"""Coverage of the ratio's interval when the requests were recorded as CloudWatch records them.

Truth: both sides are drawn from one process, the candidate 1.7 times faster. R repetitions; one
standard error of a coverage of 95 % is 1.5 points at R=200.
"""

import numpy as np
import pytest
from support.simulator import SCENARIOS, simulate

from nibai.histogram import BlockHistograms
from nibai.model import RecordedAs
from nibai.stats.percentile_fit import rebuilt_counts
from nibai.stats.ratio import paired
from nibai.stats.recorded import Span, recording_error

PS = (0.5, 0.9, 0.99)
SPEEDUP = 1.7
BLOCKS, MINUTES, RATE = 12, 360, 60
SCALES = {"TC 109": 3, "TC 55": 2, "TC 28": 1}


def recordings(requests, factor):
    """The same requests by how they were recorded: (blocks, requests without own buckets)."""
    exact = requests.histograms(BLOCKS, factor)
    n = int(exact.n.sum())
    found = {name: (exact.downscale(scale), RecordedAs()) for name, scale in SCALES.items()}
    found["exact"] = (exact, RecordedAs())
    return {**found, "percentiles": (fitted(requests, factor), RecordedAs(fitted=n))}


def fitted(requests, factor):
    minute = requests.minute.astype(int)
    order = np.argsort(minute, kind="stable")
    parts = np.split(
        requests.seconds[order] * factor, np.searchsorted(minute[order], range(1, MINUTES))
    )
    rows = [[], [], []]
    for number, values in enumerate(parts):
        if not len(values):
            continue
        ps = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
        percentiles = dict(zip(ps, np.quantile(values, ps).tolist(), strict=True))
        buckets, counts = rebuilt_counts(len(values), percentiles, values.min(), values.max())
        rows[0].append(np.full(len(buckets), number * BLOCKS // MINUTES))
        rows[1].append(buckets)
        rows[2].append(counts)
    return BlockHistograms.from_rows(*(np.concatenate(one) for one in rows), blocks=BLOCKS)


def judged(scenario, seed):
    """(recording, p) -> (interval of the requests' buckets alone, with the recording's error)."""
    rng = np.random.default_rng(seed)
    sides = [simulate(rng, SCENARIOS[scenario], minutes=MINUTES, rate=RATE) for _ in range(2)]
    made = [
        recordings(side, factor) for side, factor in zip(sides, (1.0, 1 / SPEEDUP), strict=True)
    ]
    found = {}
    for name in made[0]:
        (first, one), (second, other) = made[0][name], made[1][name]
        pair = paired(first, second)
        for interval in pair.intervals(PS):
            error = recording_error(
                (pair.baseline, pair.candidate), interval.p, (one, other),
                (pair.baseline.requests, pair.candidate.requests),
            )  # fmt: skip
            plain = Span(interval.value, interval.low, interval.high)
            found[name, interval.p] = plain, error.widened(plain)
    return found


def coverage(scenario, repetitions):
    truth = np.log2(SPEEDUP)
    hits, halves = {}, {}
    for seed in range(repetitions):
        for key, (plain, wide) in judged(scenario, seed).items():
            hit = [one.low <= truth <= one.high for one in (plain, wide)]
            hits.setdefault(key, []).append(hit)
            halves.setdefault(key, []).append(
                [100 * (2 ** ((one.high - one.low) / 2) - 1) for one in (plain, wide)]
            )
    return {key: (np.mean(hits[key], axis=0), np.median(halves[key], axis=0)) for key in hits}


@pytest.mark.slow
def test_the_widened_interval_always_holds_that_of_the_buckets():
    for seed in range(2):
        for (name, p), (plain, wide) in judged("ar10", seed).items():
            assert wide.low <= plain.low < plain.high <= wide.high
            assert (wide == plain) == (name == "exact"), (name, p)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["ar10", "incid"])
def test_coarse_recordings_cover_as_often_as_the_requests_themselves(scenario, figure):
    found = coverage(scenario, 200)
    for name in ("exact", *SCALES, "percentiles"):
        plain, wide, before, after = (
            "/".join(f"{found[name, p][kind][which]:{form}}" for p in PS)
            for kind, which, form in ((0, 0, ".3f"), (0, 1, ".3f"), (1, 0, ".1f"), (1, 1, ".1f"))
        )
        figure(
            f"recorded as {name}, {scenario}, R=200: covers {plain}, with the error {wide}; "
            f"half-width {before} and {after} %"
        )
    for (name, p), (covered, _) in found.items():
        # Two standard errors (3 points) below what the requests one by one reach.
        assert covered[1] >= min(found["exact", p][0][0], 0.95) - 0.03, (name, p)
