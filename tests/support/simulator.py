"""Traffic with known truth: arrivals, queues, drift, bursts, incidents and shifting mixes.

The scenarios and their numbers are those of nibai's statistics.md, section 15. Everything is plain
numpy and comes from the generator passed in: same seed, same requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heapreplace

import numpy as np
from numpy.typing import NDArray

from nibai.histogram import BlockHistograms

Array = NDArray[np.float64]

WARM_UP = 120
DAY = 1440
MEDIAN_SECONDS = 0.2
INCIDENT_START, INCIDENT_MINUTES = 1 / 240, 5.0
QUIET_MINUTES, BURST_MINUTES = 27.0, 3.0


@dataclass(frozen=True)
class Scenario:
    """How one endpoint behaves; times in minutes, rate in requests per minute.

    `swing`: amplitude of the daily cycle; `servers`: None where nothing queues; `load`: the mean
    utilisation otherwise. Log-service is normal with `sigma`, with probability `tail_share` times a
    Pareto(`tail_index`) factor, all times a minute AR(1) factor (`drift_sd`, `drift_tau`).
    `burst` and `incident` are factors on the arrival rate and on the service time.
    """

    swing: float = 0.0
    servers: int | None = None
    load: float = 0.0
    drift_sd: float = 0.0
    drift_tau: float = 1.0
    sigma: float = 0.5
    tail_share: float = 0.02
    tail_index: float = 2.2
    burst: float = 1.0
    incident: float = 1.0


_AR10 = Scenario(swing=0.6, drift_sd=0.10, drift_tau=10)
SCENARIOS: Mapping[str, Scenario] = {
    "iid": Scenario(),
    "ar10": _AR10,
    "ar60": replace(_AR10, drift_tau=60),
    "queue": Scenario(0.5, 4, 0.55, 0.05, 10, tail_share=0.01, tail_index=2.5),
    "burstq": Scenario(0.4, 4, 0.30, 0.05, 10, 0.6, tail_share=0.01, tail_index=2.5, burst=3.0),
    "incid": Scenario(0.6, None, 0.0, 0.05, 10, tail_share=0.01, tail_index=2.5, incident=4.0),
}


@dataclass(frozen=True)
class Requests:
    """Arrival minute since the window's start and latency in seconds of each request."""

    minute: Array
    seconds: Array
    minutes: int

    def histograms(self, blocks: int, factor: float = 1.0) -> BlockHistograms:
        """Counts per block, every latency times `factor`."""
        block = (self.minute * blocks / self.minutes).astype(np.int64)
        return BlockHistograms.from_values(self.seconds * factor, block, blocks=blocks)


def simulate(
    rng: np.random.Generator,
    scenario: Scenario,
    *,
    minutes: int,
    rate: float,
    service_factor: float = 1.0,
) -> Requests:
    """One window of one side. Where nothing queues, `service_factor` is the exact ratio."""
    length = minutes + WARM_UP
    clock = np.arange(length)
    per_minute = rate * (1 + scenario.swing * np.sin(2 * np.pi * (clock - WARM_UP) / DAY))
    if scenario.burst > 1:
        per_minute = per_minute * _bursts(rng, length, scenario.burst)
    counts = rng.poisson(per_minute)
    minute = np.repeat(clock, counts)
    arrival = np.sort(minute + rng.random(len(minute)))
    slow = ar1(rng, length, scenario.drift_sd, scenario.drift_tau)
    if scenario.incident > 1:
        slow = slow + np.log(scenario.incident) * _incidents(rng, length)
    service = service_factor * _service(rng, scenario, rate, len(minute)) * np.exp(slow[minute])
    latency = service if scenario.servers is None else _queue(arrival, service, scenario.servers)
    kept = arrival >= WARM_UP
    return Requests(arrival[kept] - WARM_UP, latency[kept], minutes)


def ar1(rng: np.random.Generator, length: int, sd: float, tau: float) -> Array:
    """A stationary AR(1) path with this standard deviation and correlation time (steps)."""
    if sd == 0:
        return np.zeros(length)
    phi = float(np.exp(-1 / tau))
    noise = rng.normal(0, sd, length)
    noise[1:] *= np.sqrt(1 - phi**2)
    path = np.empty(length)
    value = 0.0
    for i, step in enumerate(noise.tolist()):
        value = phi * value + step
        path[i] = value
    return path


def _service(rng: np.random.Generator, scenario: Scenario, rate: float, size: int) -> Array:
    """Service times in seconds; with servers, scaled to the mean utilisation."""
    value = np.exp(rng.normal(0, scenario.sigma, size))
    heavy = rng.random(size) < scenario.tail_share
    value[heavy] *= 1 + rng.pareto(scenario.tail_index, int(heavy.sum()))
    if scenario.servers is None:
        return MEDIAN_SECONDS * value
    pareto = scenario.tail_index / (scenario.tail_index - 1)
    mean = np.exp(scenario.sigma**2 / 2) * (1 + scenario.tail_share * (pareto - 1))
    mean *= np.exp(scenario.drift_sd**2 / 2)
    return value * float(scenario.load * scenario.servers * 60 / rate / mean)


def _queue(arrival: Array, service: Array, servers: int) -> Array:
    """Latencies in seconds of first-come-first-served requests (arrivals in minutes)."""
    free = [0.0] * servers
    heapify(free)
    latency = np.empty(len(arrival))
    for i, (at, need) in enumerate(zip((arrival * 60).tolist(), service.tolist(), strict=True)):
        done = max(at, free[0]) + need
        heapreplace(free, done)
        latency[i] = done - at
    return latency


def _bursts(rng: np.random.Generator, length: int, factor: float) -> Array:
    """Rate factors per minute: quiet and burst spells of random length, mean 1."""
    quiet = (QUIET_MINUTES + BURST_MINUTES) / (QUIET_MINUTES + factor * BURST_MINUTES)
    bursting = _spells(rng, length, 1 / QUIET_MINUTES, BURST_MINUTES)
    return np.where(bursting, factor * quiet, quiet)


def _incidents(rng: np.random.Generator, length: int) -> NDArray[np.bool_]:
    return _spells(rng, length, INCIDENT_START, INCIDENT_MINUTES)


def _spells(
    rng: np.random.Generator, length: int, start_chance: float, mean_minutes: float
) -> NDArray[np.bool_]:
    """Minutes inside spells that start with this chance per free minute, geometric in length."""
    draws = rng.random(length)
    inside, active = np.zeros(length, dtype=np.bool_), False
    for i, draw in enumerate(draws.tolist()):
        active = draw >= 1 / mean_minutes if active else draw < start_chance
        inside[i] = active
    return inside


# -- traffic in segments (section 8) ----------------------------------------------------------

SEGMENT_MEDIANS = {"size=s": 0.08, "size=m": 0.16, "size=l": 0.32, "size=xl": 0.9}
SEGMENT_SIGMA = 0.45
BASELINE_MIX = (0.25, 0.25, 0.25, 0.25)
SIMPSON_MIX = (0.45, 0.30, 0.20, 0.05)
SHORT_MIX = (0.40, 0.30, 0.22, 0.08)
LONG_MIX = (0.10, 0.20, 0.30, 0.40)


def simulate_segments(
    rng: np.random.Generator,
    *,
    mix: Sequence[float] = BASELINE_MIX,
    factor: float = 1.0,
    minutes: int = DAY,
    rate: float = 60.0,
    blocks: int = 24,
) -> dict[str, BlockHistograms]:
    """Four segments whose shares wander from minute to minute around `mix`."""
    wander = np.stack([ar1(rng, minutes, 0.3, 40) for _ in mix])
    share = np.asarray(mix)[:, None] * np.exp(wander)
    share /= share.sum(axis=0)
    common = ar1(rng, minutes, 0.05, 10)
    result = {}
    for (name, median), part in zip(SEGMENT_MEDIANS.items(), share, strict=True):
        minute = np.repeat(np.arange(minutes), rng.poisson(rate * part))
        noise = rng.normal(0, SEGMENT_SIGMA, len(minute))
        seconds = factor * median * np.exp(noise + common[minute])
        block = minute * blocks // minutes
        result[name] = BlockHistograms.from_values(seconds, block, blocks=blocks)
    return result
