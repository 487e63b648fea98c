"""Fixed-window estimates of a change at 6 hours, a day and a week; they decide nothing.

A report describes a window that was chosen beforehand, so its interval is an ordinary one. The
verdict of a change is that of the watch: where a report says something else, it says so in words,
and what was decided stays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from nibai.app.audit import Desk
from nibai.app.onwatch.follow import watched_since
from nibai.app.onwatch.names import REPORT, name_of
from nibai.app.watch import SETTLED, Watch
from nibai.app.watch_words import hours_text
from nibai.errors import UsageError
from nibai.model import Audit, Change, Reason, Window
from nibai.schedule import CatchUp, Job, Moments

LOG = logging.getLogger("nibai.reports")

DAY_SECONDS = 86400.0


def report_job(
    desk: Desk,
    change: Change,
    after_seconds: Sequence[float],
    *,
    level: float,
    ready: Callable[[float, float], bool],
) -> Job:
    """The reports of a change, each due so long after it; only the last one due is made up."""
    begun = watched_since(change)
    moments = {begun + seconds: seconds for seconds in sorted(after_seconds)}

    def run(slot: float) -> None:
        fixed_report(replace(desk, clock=lambda: slot), change, moments[slot], level=level)

    name = f"{REPORT} {change.id}"
    return Job(name, Moments(tuple(moments)), run, CatchUp.LAST, ready, at_once=True)


def fixed_report(desk: Desk, change: Change, seconds: float, *, level: float) -> Audit | None:
    """The estimate over the first `seconds` of a change, stored; None where there is none."""
    title = f"estimate at {hours_text(seconds)}"
    name = name_of(REPORT, change.id, f"{level:g}", f"{seconds:g}")
    try:
        found = desk.audit(change, windows=report_windows(change, seconds), level=level, keep=False)
    except UsageError as error:
        LOG.warning("change %s, %s: %s", change.id, title, error)
        return None
    decided = disagreements(Watch(desk, change, level), found, desk.clock())
    notes = (
        f"{title}: describes a fixed window and decides nothing; the watch decides",
        *decided,
    )
    reason = Reason(found.reason.code, f"{title}: {found.reason.text}")
    LOG.info("change %s, %s: %s, audit %s", change.id, title, found.verdict.value, name)
    return desk.keep(replace(found, id=name, reason=reason, notes=(*notes, *found.notes)))


def report_windows(change: Change, seconds: float) -> tuple[Window, Window]:
    """(before, after) of one length; below a day the same hours of the day before.

    Variants side by side are compared over the same window.
    """
    begun = watched_since(change)
    after = Window(begun, begun + seconds)
    quiet = change.unchanged_until
    if quiet is None:
        return after, after
    days = max(-(-(begun - quiet + seconds) // DAY_SECONDS), 1.0)
    return Window(begun - days * DAY_SECONDS, begun - days * DAY_SECONDS + seconds), after


def disagreements(watch: Watch, found: Audit, now: float) -> list[str]:
    """What the watch has decided otherwise than the fixed window, in words."""
    watch.look(now)
    said = []
    for result in found.sentences:
        if result.sentence not in watch.change.sentences:
            continue
        decided = watch.sentence_verdict(result.sentence)
        if decided in SETTLED and decided is not result.verdict:
            said.append(
                f"“{result.sentence.text}” is decided: {decided.value}, watched block by block; "
                f"this fixed window alone says {result.verdict.value}. The decision stays"
            )
    return said
