"""The jobs of the schedule, from the configuration; configuration alone says which there are."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from nibai.app.audit import Desk
from nibai.app.changes_watch import watch_changes
from nibai.app.detections import Detections, unchanged
from nibai.app.discover import discover_once, lookouts
from nibai.app.fleet import FLEET, Selection
from nibai.app.onwatch.annotating import Annotating
from nibai.app.onwatch.follow import Follower, watched_since
from nibai.app.onwatch.names import REPORT, name_of
from nibai.app.onwatch.reports import report_job
from nibai.app.onwatch.standing import Board
from nibai.app.onwatch.tally import Tally
from nibai.app.outputs_watch import watch_outputs
from nibai.app.watch_fleet import watch_fleet
from nibai.config import Config, Slots
from nibai.document import iso
from nibai.errors import ConfigError, NibaiError, UsageError
from nibai.model import Change, Detection, Round
from nibai.protocols import Alerting
from nibai.schedule import CatchUp, Every, Job, SlotState, Trigger, Turns, Wake, cron, pause_of

LOG = logging.getLogger("nibai.jobs")

TELL_EVERY_SECONDS = 60.0
PATIENCE_SECONDS = 6 * 3600.0
"""A report waits so long for data that are late, and is made with what there is then."""

CHANGE_BLOCK_SECONDS = 300.0
TASKS = ("follow", "fleet", "changes", "outputs", "discover", REPORT)
"""Everything that the schedule may run, as its counters name it."""

COUNTED = (SlotState.DONE, SlotState.FAILED, SlotState.SKIPPED, SlotState.TAKEN_OVER)


@dataclass(frozen=True, slots=True)
class Office:
    """What the jobs work with."""

    config: Config
    desk: Desk
    board: Board
    tally: Tally
    turns: Turns
    follower: Follower
    alerting: Alerting | None = None
    annotating: Annotating | None = None
    claimed: Callable[[Change], Change] = unchanged

    def detections(self, now: float) -> tuple[Detection, ...]:
        """What detectors noticed lately; nothing while it cannot be read, which stops no other."""
        try:
            return Detections(self.desk, self.claimed)(now)
        except NibaiError as error:
            LOG.error("detections: %s", error)  # noqa: TRY400 - the text is the message
            return ()

    def tell(self) -> None:
        """Let alerting consider how everything stands; what it cannot tell is tried again.

        Of several processes only the one whose look was the last one considers claims: another's
        is older. Its collectors and what detectors noticed each of them considers, also while looks
        fail, and delivers what is kept.
        """
        if self.alerting is None:
            return
        now = self.desk.clock()
        seen: Round | None = self.board.round(now)
        try:
            with self.tally.span("alerts"):
                if seen is None or self.turns.newest("follow", now) != seen.at:
                    seen = self.board.health(now)
                self.alerting(replace(seen, detections=self.detections(now)))
        except NibaiError as error:
            LOG.error("alerts: %s", error)  # noqa: TRY400 - the text is the message


def wakes(office: Office) -> list[Wake]:
    """Everything that is woken: each job, the reports of all changes, and the alerting."""
    jobs = configured_jobs(office)
    found = [Wake(job.name, pause_of(job.trigger), _taking(office, job)) for job in jobs]
    if office.config.schedule.reports:
        found.append(Wake("reports", TELL_EVERY_SECONDS, lambda stop: take_reports(office, stop)))
    if office.alerting is not None:
        found.append(Wake("alerting", TELL_EVERY_SECONDS, lambda _stop: office.tell()))
    if office.annotating is not None:
        found.append(Wake("annotations", TELL_EVERY_SECONDS, office.annotating.take))
    return found


def _taking(office: Office, job: Job) -> Callable[[Callable[[], bool]], object]:
    def take(stopping: Callable[[], bool]) -> object:
        return office.turns.take(job, stopping)

    return take


def configured_jobs(office: Office) -> list[Job]:
    """The jobs that are switched on; ConfigError for a cron line that is none."""
    schedule = office.config.schedule
    wanted: list[tuple[str, Slots | None, Callable[[Office, float], None], bool]] = [
        ("follow", schedule.follow, follow, True),
        ("fleet", schedule.fleet, fleet, False),
        ("changes", schedule.changes, changes, True),
        ("outputs", schedule.outputs, outputs, True),
    ]
    if office.config.sagemaker:
        every = min(one.every for one in office.config.sagemaker)
        wanted.append(("discover", Slots(every=f"{every}s"), discovering(office), True))  # type: ignore[arg-type]
    return [
        _job(office, name, slots, run, at_once=at_once)
        for name, slots, run, at_once in wanted
        if slots is not None
    ]


def _job(
    office: Office,
    name: str,
    slots: Slots,
    run: Callable[[Office, float], None],
    *,
    at_once: bool,
) -> Job:
    def traced(slot: float) -> None:
        with office.tally.span("job", job=name):
            run(office, slot)

    return Job(
        name,
        trigger_of(name, slots),
        traced,
        CatchUp(slots.catch_up),
        # Blocks count minutes after their end, so that what is folded by then is enough.
        lambda slot, _now: office.board.final_until() is None or folded(office, slot),
        at_once=at_once,
    )


def folded(office: Office, slot: float) -> bool:
    """Whether this process has folded everything that was pushed to it up to a slot."""
    own = office.board.readings().get(office.config.collector_id)
    return own is None or own.final_until is None or own.final_until >= slot - 60.0


def trigger_of(name: str, slots: Slots) -> Trigger:
    """When a configured job is due."""
    if slots.every is not None:
        return Every(slots.every)
    try:
        return cron(slots.cron or "")
    except ValueError as error:
        raise ConfigError(f"schedule.{name}.cron: {error}") from error


# -- what they do ---------------------------------------------------------------------------


def follow(office: Office, slot: float) -> None:
    """One look at every claimed change, and what changed goes to alerting."""
    standings = office.follower.look(slot)
    office.board.looked(slot, standings, office.follower.unseen)
    office.tell()


def fleet(office: Office, slot: float) -> None:
    """All watched changes judged together."""
    schedule = office.config.schedule
    desk = replace(office.desk, clock=lambda: slot)
    name = name_of(FLEET, slot)
    if desk.state.audit(name) is not None:
        return
    try:
        audit = watch_fleet(desk, Selection(), level=schedule.level, audit_id=name)
    except UsageError as error:
        LOG.info("no fleet audit: %s", error)
        return
    LOG.info("fleet audit %s: %d endpoints", audit.id, len(audit.endpoints))


def changes(office: Office, slot: float) -> None:
    """One look of the online detector at every series."""
    desk = replace(office.desk, clock=lambda: slot)
    tolerate = office.config.schedule.tolerate
    look = watch_changes(desk, block_seconds=CHANGE_BLOCK_SECONDS, tolerate_seconds=tolerate)
    for alarm in look.alarms:
        LOG.warning(
            "%s %s changed at %s: %s", alarm.endpoint, alarm.metric, iso(alarm.at),
            alarm.movement.text,
        )  # fmt: skip
    if look.alarms:
        office.tell()


def outputs(office: Office, slot: float) -> None:
    """One look at the answers of every variant."""
    look = watch_outputs(replace(office.desk, clock=lambda: slot))
    for alarm in look.alarms:
        LOG.warning("%s %s", alarm.endpoint, alarm.text)
    if look.alarms:
        office.tell()


def discovering(office: Office) -> Callable[[Office, float], None]:
    """A look at what serves the endpoints; its connections live as long as the job."""
    eyes = lookouts(office.config, office.desk.state)

    def discover(office: Office, slot: float) -> None:
        del slot  # what serves an endpoint is only known now
        found = discover_once(office.config, office.desk.state, office.desk.clock, eyes=eyes)
        for change in found.changes:
            LOG.info("change %s of %s was discovered", change.id, change.endpoint)
        for problem in found.problems:
            LOG.error("discovery: %s", problem)

    return discover


def take_reports(office: Office, stopping: Callable[[], bool]) -> int:
    """The reports that are due, change by change."""
    now, done = office.desk.clock(), 0
    after = office.config.schedule.reports
    horizon = office.config.minute_horizon
    for change in map(office.claimed, office.desk.changes()):
        if stopping():
            break
        if change.sentences and not change.runs and 0 <= now - watched_since(change) < horizon:
            done += office.turns.take(
                report_job(
                    office.desk,
                    change,
                    after,
                    level=office.config.schedule.level,
                    ready=lambda slot, now: _all_there(office, slot, now),
                ),
                stopping,
            )
    return done


def _all_there(office: Office, slot: float, now: float) -> bool:
    """Whether every collector is final up to a slot, or so late that one goes on without."""
    until = office.board.final_until()
    return until is None or until >= slot or now >= slot + PATIENCE_SECONDS


def counting(tally: Tally) -> Callable[[str, SlotState, int], None]:
    """Counts slots in a tally; the reports of all changes are one job there.

    Every series stands at 0 from the first: `increase` does not see one that begins at 1.
    """

    def count(job: str, state: SlotState, number: int) -> None:
        name = job.split(maxsplit=1)[0]
        tally.add("nibai_audit_slots_total", number, task=name, state=str(state))
        if state in (SlotState.DONE, SlotState.FAILED):
            tally.add("nibai_audit_runs_total", number, task=name, result=str(state))

    for task in TASKS:
        for state in COUNTED:
            count(task, state, 0)
    return count
