"""APScheduler, which wakes: a firing is only a reason to look at what is due."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from nibai.schedule.triggers import Every, Trigger

WAKE_SECONDS = 30.0
"""How often a job looks at what is due: slots, data that were waited for, leases that ran out."""


@dataclass(frozen=True, slots=True)
class Wake:
    """Something that is woken every so often; it is told how to ask whether it shall stop."""

    name: str
    pause_seconds: float
    call: Callable[[Callable[[], bool]], object]


class Waker:
    """Wakes until it is stopped; what is still running is not begun again.

    Everything is woken `first_seconds` after the start, then after its own pause.
    """

    def __init__(
        self, wakes: Sequence[Wake], *, jitter_seconds: float = 0.0, first_seconds: float = 0.0
    ) -> None:
        self._wakes = tuple(wakes)
        self._jitter = jitter_seconds
        self._first = first_seconds
        self._stopping = threading.Event()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(max(len(self._wakes), 1))},
            # A late wake-up is as good as one in time, and several late ones are one.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def start(self) -> None:
        """Begin to wake."""
        first = datetime.now(UTC) + timedelta(seconds=self._first)
        for wake in self._wakes:
            self._scheduler.add_job(
                wake.call,
                IntervalTrigger(seconds=wake.pause_seconds, timezone=UTC, jitter=self._jitter),
                args=(self._stopping.is_set,),
                id=wake.name,
                next_run_time=first,
            )
        self._scheduler.start()

    def stop(self) -> None:
        """Wake no more, and wait for what is running."""
        self._stopping.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)


def pause_of(trigger: Trigger) -> float:
    """How long a job with these slots may sleep."""
    return min(trigger.seconds, WAKE_SECONDS) if isinstance(trigger, Every) else WAKE_SECONDS
