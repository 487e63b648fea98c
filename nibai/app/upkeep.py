"""The lake kept small and no older than was promised, whichever command writes into it."""

from __future__ import annotations

import os
import secrets

from nibai.config import Config
from nibai.store.lake.delta import Lake
from nibai.store.lake.maintenance import Upkeep, maintain
from nibai.store.state.database import State, open_state

EVERY_SECONDS = 3600.0
MAINTAINER = "maintainer"

READ_ONLY_EVERY_SECONDS = 86400.0
"""How often a command that only reads sources keeps the lake: `nibai run` does it by the hour."""

LAST = "kept_by_collect"


def keep_up(config: Config, state: State, owner: str, now: float) -> Upkeep:
    """Maintain the lake unless another process does; it goes on when that one's lease has run out.

    The owner that is done for good gives the lease back (`give_back`).
    """
    if not state.lease(MAINTAINER, owner, now, 2 * EVERY_SECONDS):
        return Upkeep()
    return maintain(
        Lake(config.data / "lake"),
        state,
        now,
        retention_seconds=config.minute_horizon,
        prediction_seconds=config.prediction_retention,
    )


def give_back(state: State, owner: str, now: float) -> None:
    """Another process may maintain the lake at once."""
    state.lease(MAINTAINER, owner, now, 0.0)


def keep_up_daily(config: Config, now: float) -> Upkeep:
    """For who runs no `nibai run`: a day after the first call, and then once a day."""
    state = open_state(config.state_address)
    try:
        last = state.watermark(LAST)
        if last is not None and 0.0 <= now - float(last) < READ_ONLY_EVERY_SECONDS:
            return Upkeep()
        done, owner = Upkeep(), f"collect-{os.getpid()}-{secrets.token_hex(4)}"
        if last is not None:
            done = keep_up(config, state, owner, now)
            give_back(state, owner, now)
        state.set_watermark(LAST, repr(now))
        return done
    finally:
        state.close()
