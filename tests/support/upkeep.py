"""A lake that days of traffic are written to through the real write path, and its upkeep."""

from datetime import UTC, date, datetime

import numpy as np

from nibai.model import Window
from nibai.store.lake import maintenance
from nibai.store.lake.delta import Lake
from nibai.store.series.blocks import Blocks, Engine
from nibai.store.state.database import open_state
from nibai.store.wal.ingest import Ingest, MemoryLedger
from support.spans import batch

DAY = 86_400.0
START = 19_000 * DAY
MONTH = 30 * DAY
ENDPOINT = "onprem/tokyo/ocr"


class World:
    """Days are counted from 2022-01-08."""

    def __init__(self, folder):
        self.now = START
        self.state = open_state(folder / "state.sqlite")
        self.ingest = Ingest(folder, "main", MemoryLedger(), clock=lambda: self.now)
        self.lake = Lake(folder / "lake")
        self.rng = np.random.default_rng(5)

    def traffic(self, day, *, minutes=range(0, 1440, 90), n=20, **key):
        values = self.rng.lognormal(-2, 0.5, len(minutes) * n)
        at = int((START + day * DAY) // 60) + np.repeat(minutes, n)
        self.ingest.append(batch(values, minute=at, **key))
        self.now += 60
        self.ingest.fold()

    def maintain(self, day, *, daily=True, **options):
        """One round; without what is done once a day it costs a tenth."""
        self.now = max(self.now, START + day * DAY)
        if not daily:
            today = datetime.fromtimestamp(self.now, UTC).date()
            self.state.set_watermark(maintenance.COMPACTION, today.isoformat())
        return maintenance.maintain(
            self.lake, self.state, self.now, retention_seconds=MONTH, **options
        )

    def counts(self, *, hours, days=(0, 3)):
        rolled = self.state.watermark(maintenance.ROLL_UP)
        engine = Engine(self.lake, date.fromisoformat(rolled) if hours and rolled else None)
        window = Window(START + days[0] * DAY, START + days[1] * DAY)
        blocks = Blocks(window, 24 * (days[1] - days[0]))
        found = engine.blocks(ENDPOINT, "latency", None, blocks)
        return {
            (replica, segment): (
                series.histograms.counts.tolist(),
                series.histograms.offset,
                np.round(series.sums, 9).tolist(),
            )
            for replica, segments in found.items()
            for segment, series in segments.items()
        }

    def close(self):
        self.ingest.close()
        self.state.close()
