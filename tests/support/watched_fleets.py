"""Watched fleets whose truth is known: AR(1) blocks of two parts, e-BH after every block."""

import numpy as np

from nibai.stats.block_values import BlockReading
from nibai.stats.following import FollowPlan, new_track
from nibai.stats.multiplicity import e_bh, log_e_intersection, log_e_union
from nibai.stats.sequential_rates import Trials

BLOCKS, PHI, CLAIM, Q = 48, 0.3, 0.5, 0.05
PLAN = FollowPlan(0.0, 0.0, 1800.0, side_by_side=False, phi=PHI, placebos=6, threshold=CLAIM)
NOTHING = Trials()


def truth(edge, moved, size=2.0):
    """Means (E, 2) in block sd: twice `edge` at the claim, `moved` better and as many worse.

    At the claim is the hardest place: one part there and the other far above, or both there.
    """
    rows = [[0.0, 3.0], [0.0, 0.0], [size, size], [-size, -size]]
    return np.repeat(rows, [edge, edge, moved, moved], axis=0)


def looked_at(rng, shifts, shared=0.0):
    """Shape (BLOCKS, 4): wrong among confirmed, among refuted; found better, found worse ones.

    `shared`: which part of the noise's variance all endpoints have in common.
    """
    tracks = [[new_track(PLAN) for _ in parts] for parts in shifts]
    level, answers = np.zeros(shifts.shape), []
    better, worse = (shifts > 0).all(1), (shifts < 0).any(1)
    for number in range(BLOCKS):
        own = np.sqrt(1 - shared) * rng.normal(size=shifts.shape)
        noise = own + np.sqrt(shared) * rng.normal(size=shifts.shape[1])
        level = PHI * level + np.sqrt(1 - PHI**2) * noise
        values = CLAIM + 0.1 * (level + shifts)
        for parts, row in zip(tracks, values.tolist(), strict=True):
            for j, value in enumerate(row):
                parts[j] = parts[j].look(number, BlockReading(value, NOTHING, NOTHING))
        up = _selected(tracks, log_e_union, above=True)
        down = _selected(tracks, log_e_intersection, above=False)
        wrong = (up & ~better).sum() / max(up.sum(), 1), (down & ~worse).sum() / max(down.sum(), 1)
        answers.append((*wrong, up[better].mean(), down[worse].mean()))
    return np.array(answers)


def _selected(tracks, rule, *, above):
    return e_bh([rule([t.log_e_value(CLAIM, above=above) for t in p]) for p in tracks], Q)
