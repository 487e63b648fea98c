"""When jobs run: every firing is a slot in UTC, and a table decides who runs it, once.

APScheduler (3.11, imported in this package only) wakes; it keeps no jobs, knows no history and may
wake too often, too late or in two processes at once. Slots come from `triggers`, who has claimed
them from a `SlotLedger`, what is made up after downtime from the `CatchUp` policy.
"""

from __future__ import annotations

from nibai.schedule.slots import CatchUp, Job, SlotLedger, SlotState, Turns
from nibai.schedule.triggers import Cron, Every, Moments, Trigger, cron
from nibai.schedule.waking import Wake, Waker, pause_of

__all__ = [
    "CatchUp",
    "Cron",
    "Every",
    "Job",
    "Moments",
    "SlotLedger",
    "SlotState",
    "Trigger",
    "Turns",
    "Wake",
    "Waker",
    "cron",
    "pause_of",
]
