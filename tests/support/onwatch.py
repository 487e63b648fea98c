"""A lake with a change in it, and everything `nibai run` looks at it with, under a clock."""

from dataclasses import dataclass, field

import numpy as np

from nibai.app.alerting.wiring import alerting_of
from nibai.app.audit import Desk
from nibai.app.detections import unchanged
from nibai.app.onwatch.follow import Follower
from nibai.app.onwatch.jobs import Office, counting
from nibai.app.onwatch.standing import Board, Reading
from nibai.app.onwatch.tally import Tally
from nibai.claims import parse
from nibai.config import Config
from nibai.model import Change
from nibai.schedule import Turns
from nibai.schedule.slots import MOST_ATTEMPTS
from nibai.store.lake.delta import Lake
from nibai.store.state.database import open_state
from nibai.store.state.slots import Slots
from nibai.store.wal.ingest import Ingest, MemoryLedger
from support.spans import batch

DAY = 86_400.0
MONDAY = 19_002 * DAY  # 2022-01-10
DAYS_BEFORE, DAYS = 8, 9
CUT = MONDAY + DAYS_BEFORE * DAY  # a Tuesday
TWICE, SAME, SILENT = "onprem/tokyo/twice", "onprem/tokyo/same", "onprem/tokyo/silent"
PER_STEP = 8  # requests in 5 minutes: 48 in a block of half an hour


def traffic(seed, *, speedup=1.0, days=DAYS):
    rng = np.random.default_rng(seed)
    minutes = np.repeat(np.arange(0, int(days * 1440), 5), PER_STEP)
    drift = rng.normal(0, 0.05, int(days * 48) + 1)[minutes // 30]
    seconds = rng.lognormal(-2, 0.4, len(minutes)) * np.exp(drift)
    seconds[minutes >= DAYS_BEFORE * 1440] /= speedup
    return seconds, (int(MONDAY // 60) + minutes).astype(np.int32)


def fill(folder):
    """An endpoint that became twice as fast, one that did not, one that fell silent after it."""
    now = [MONDAY]
    ingest = Ingest(folder, "main", MemoryLedger(), clock=lambda: now[0])
    for seed, endpoint, how in (
        (1, TWICE, {"speedup": 2.0}), (2, SAME, {}), (3, SILENT, {"days": DAYS_BEFORE + 1 / 24}),
    ):  # fmt: skip
        seconds, minutes = traffic(seed, **how)
        ingest.append(batch(seconds, minute=minutes, endpoint=endpoint))
    now[0] += 120
    ingest.close()


class Clock:
    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


@dataclass
class Told:
    """An alerting that keeps the rounds it was told."""

    rounds: list
    alerting: object = None

    def __call__(self, seen):
        self.rounds.append(seen)
        if self.alerting is not None:
            self.alerting(seen)


@dataclass
class OnWatch:
    """An office over a lake: what it told alerting is kept in `rounds`."""

    desk: Desk
    clock: Clock
    config: Config
    owner: str = "one"
    rounds: list = field(default_factory=list)
    audits: list = field(default_factory=list)

    def __post_init__(self):
        self.board, self.tally = Board(self.config.schedule.quiet_after, self.clock.now), Tally()
        turns = Turns(
            Slots(self.desk.state, MOST_ATTEMPTS), self.owner, self.clock, counting(self.tally)
        )
        alerting = alerting_of(self.config, self.desk, self.tally, {})
        claimed = alerting.claimed if alerting else unchanged
        follower = Follower(
            self.desk, level=0.95, follow_seconds=self.config.schedule.follow_for,
            quiet_seconds=self.board.allowed_seconds, claimed=claimed, told=self.audits.append,
        )  # fmt: skip

        told = Told(self.rounds, alerting)
        self.office = Office(
            self.config, self.desk, self.board, self.tally, turns, follower, told, claimed=claimed
        )
        self.told = told

    def folded(self, until):
        self.board.read("main", Reading(until, 60.0))

    def counted(self, name):
        return self.tally.numbers().get(name, {})


def on_watch(folder, lake, now, owner="one", **config):
    clock = Clock(now)
    settings = Config.model_validate({"data": str(folder), **config})
    desk = Desk(open_state(folder / "state.sqlite"), Lake(lake / "lake"), clock)
    return OnWatch(desk, clock, settings, owner)


def declared(desk, *claims, endpoint=TWICE, **more):
    given = {"effective_at": CUT, **more}
    sentences = tuple(parse(claim) for claim in claims)
    return desk.declare(Change("", endpoint, sentences=sentences, **given))
