"""Unannounced changes of one day through the detector itself: two are two, one is one."""

import numpy as np
import pytest
from support.spans import batch

from nibai.app.audit import Desk
from nibai.app.changes_watch import watch_changes
from nibai.model import Moved
from nibai.store.lake.delta import Lake
from nibai.store.state.database import open_state
from nibai.store.state.detections import events_since
from nibai.store.wal.ingest import Ingest, MemoryLedger

pytestmark = pytest.mark.slow

DAY, HOUR = 86_400.0, 3600.0
MONDAY = 19_002 * DAY
DAYS, BLOCKS, REQUESTS = 9, 288, 25
SEEDS = 6


def events(folder, seed, hours, size):
    """What is noticed of two variants that become slower so many hours apart, on the ninth day."""
    rng = np.random.default_rng([20261127, seed, round(hours), round(size * 100)])
    now = [MONDAY]
    ingest = Ingest(folder, "main", MemoryLedger(), clock=lambda: now[0])
    for variant, after in (("blue", 0.0), ("green", hours)):
        blocks = DAYS * BLOCKS
        wander, steps = np.zeros(blocks), rng.normal(0, 0.02, blocks)
        for i in range(1, blocks):
            wander[i] = 0.6 * wander[i - 1] + steps[i]
        minute = int(MONDAY // 60) + np.repeat(np.arange(blocks) * 5, REQUESTS)
        slow = minute * 60.0 >= MONDAY + 8 * DAY + (6 + after) * HOUR
        values = np.exp(np.repeat(wander, REQUESTS)) * rng.lognormal(-2, 0.35, len(minute))
        values = np.where(slow, size, 1.0) * values
        ingest.append(batch(values, minute=minute, endpoint="a/b/c", variant=variant))
    now[0] = MONDAY + DAYS * DAY + 600
    ingest.close()
    desk = Desk(open_state(folder / "state.sqlite"), Lake(folder / "lake"), lambda: now[0])
    watch_changes(desk, block_seconds=300.0, tolerate_seconds=30 * DAY)
    found = [one for one in events_since(desk.state, 0.0).values() if one[0].moved is Moved.WORSE]
    desk.state.close()
    return found


@pytest.mark.parametrize(
    ("hours", "size", "wanted"), [(6, 1.3, 2), (10, 1.3, 2), (0, 1.3, 1), (0, 1.08, 1)]
)
def test_changes_hours_apart_are_told_apart_and_one_change_once(tmp_path, hours, size, wanted):
    """Measured (R = 12): 11, 12, 12, 12; 4 hours apart 11, 2 hours 0, 6 hours and 1.12x 10."""
    found = [len(events(tmp_path / f"{seed}", seed, hours, size)) for seed in range(SEEDS)]
    assert sum(one == wanted for one in found) >= SEEDS - 1
