"""Who runs which slot: claimed in a ledger, once, by whichever process comes first.

A claim is a lease. Whoever dies with one leaves a slot that another process takes over when the
lease has run out; whoever is only slow may be overtaken, so a job must store its result under a
name made of its slot. What is late after downtime is decided by the policy of the job.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from nibai.errors import NibaiError
from nibai.schedule.triggers import Trigger

LOG = logging.getLogger("nibai.schedule")

MOST_ATTEMPTS = 3
"""So often a slot is begun before it counts as failed for good."""

RETRY_SECONDS = 60.0


class CatchUp(StrEnum):
    """What is done about slots that passed while nobody ran them."""

    SKIP = "skip"
    LAST = "last"
    ALL = "all"


class SlotState(StrEnum):
    """How a slot stands; `taken_over` is counted, a slot is not left in it."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    TAKEN_OVER = "taken_over"


class SlotLedger(Protocol):
    """What is known of slots by all processes together (`nibai.store.state.slots`)."""

    def newest(self, job: str, now: float) -> float | None:
        """The newest slot of a job up to now that anybody claimed."""
        ...

    def claim(self, job: str, slot: float, owner: str, now: float, until: float) -> int:
        """Take a slot until a moment: 0 when another has it, else which attempt this is."""
        ...

    def finish(self, job: str, slot: float, owner: str, state: SlotState, until: float) -> bool:
        """Say how a claimed slot ended; False when it was taken over. A failed one rests `until`.

        `until` means nothing for other states.
        """
        ...

    def unfinished(self, job: str, now: float) -> list[float]:
        """Slots whose lease or rest has run out and that have attempts left, oldest first."""
        ...

    def skip(self, job: str, before: float, now: float) -> int:
        """Give up the unfinished slots before a moment; how many those are."""
        ...


def _always(_slot: float, _now: float) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Job:
    """Something that is done once per slot; `run` gets the slot, which is its clock.

    `ready(slot, now)` says whether everything the slot needs is there. `at_once`: a job that never
    ran begins with the newest slot, not the next one. `lease_seconds` should cover a run.
    """

    name: str
    trigger: Trigger
    run: Callable[[float], None]
    catch_up: CatchUp = CatchUp.LAST
    ready: Callable[[float, float], bool] = _always
    at_once: bool = False
    lease_seconds: float = 900.0


class Turns:
    """Takes the slots that are due, as one of possibly many processes.

    `count(job, state, number)` is told of every slot that ended, was given up or taken over.
    """

    def __init__(
        self,
        ledger: SlotLedger,
        owner: str,
        clock: Callable[[], float],
        count: Callable[[str, SlotState, int], None] = lambda _job, _state, _n: None,
    ) -> None:
        self._ledger = ledger
        self._owner = owner
        self._clock = clock
        self._count = count
        self._started = clock()

    def take(self, job: Job, stopping: Callable[[], bool] = lambda: False) -> int:
        """Run what is due of a job now; how many slots this process finished."""
        done = 0
        for slot, passed in self._due(job, self._clock()):
            if stopping():
                break
            done += self._run(job, slot, passed)
        return done

    def newest(self, job: str, now: float) -> float | None:
        """The newest slot of a job up to now that any process claimed."""
        return self._ledger.newest(job, now)

    def _due(self, job: Job, now: float) -> list[tuple[float, int]]:
        """Slots to be run, oldest first, and how many each of them leaves behind."""
        since = self._since(job, now)
        missing = [slot for slot in job.trigger.slots(since, now) if job.ready(slot, now)]
        again = self._ledger.unfinished(job.name, now)
        if job.catch_up is CatchUp.ALL:
            return [(slot, 0) for slot in (*again, *missing)]
        if missing:
            return [(missing[-1], len(missing) - 1)]
        return [(slot, 0) for slot in again[-1:]]

    def _since(self, job: Job, now: float) -> float:
        """After which moment slots are missing."""
        since = self._ledger.newest(job.name, now)
        if since is None:
            newest = job.trigger.newest(now) if job.at_once else None
            # Just before the slot that is running now.
            since = self._started if newest is None else min(self._started, newest - 1e-6)
        if job.catch_up is CatchUp.SKIP:
            since = max(since, self._started)
        return since

    def _run(self, job: Job, slot: float, passed: int) -> int:
        now = self._clock()
        attempt = self._ledger.claim(job.name, slot, self._owner, now, now + job.lease_seconds)
        if not attempt:
            return 0
        if job.catch_up is not CatchUp.ALL:
            passed += self._ledger.skip(job.name, slot, now)
        if passed:
            LOG.info("%s: %d slot(s) passed and are not made up", job.name, passed)
            self._count(job.name, SlotState.SKIPPED, passed)
        if attempt > 1:
            self._count(job.name, SlotState.TAKEN_OVER, 1)
        state = self._outcome(job, slot, attempt)
        rest = self._clock() + RETRY_SECONDS
        if not self._ledger.finish(job.name, slot, self._owner, state, rest):
            LOG.warning("%s: slot %s was taken over by another process", job.name, slot)
            return 0
        self._count(job.name, state, 1)
        return int(state is SlotState.DONE)

    def _outcome(self, job: Job, slot: float, attempt: int) -> SlotState:
        try:
            job.run(slot)
        except NibaiError as error:
            LOG.error("%s: attempt %d failed: %s", job.name, attempt, error)  # noqa: TRY400 - the text is the message
            return SlotState.FAILED
        except Exception:
            LOG.exception("%s: attempt %d failed", job.name, attempt)
            return SlotState.FAILED
        return SlotState.DONE
