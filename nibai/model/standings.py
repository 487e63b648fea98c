"""How claims and collectors stand after a look, and what detectors noticed: rules alert of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nibai.model.findings import Finding
from nibai.model.promises import Change, Sentence
from nibai.model.verdicts import Reason, Verdict


@dataclass(frozen=True, slots=True)
class Standing:
    """One sentence of one change, as the anytime-valid path sees it.

    `findings` are those of its parts, with estimate, interval and evidence; they hold at any number
    of looks. `decided_at` is the end of the block that decided, `audit` the id of the audit stored
    then; both None before. `no_data_since`: the endpoint's newest minute, where that is
    older than it should be. `superseded_by` is a newer change of the same endpoint, which takes
    this one back where it is `rolled_back`. Of minutes that are read again: `minutes_age_seconds`
    is the age from which on they count, `minutes_from` the source that reads them. Times are
    seconds since the epoch.
    """

    change: Change
    sentence: Sentence
    verdict: Verdict
    reason: Reason
    findings: tuple[Finding, ...]
    level: float
    watched_since: float
    decided_at: float | None = None
    audit: str | None = None
    no_data_since: float | None = None
    superseded_by: str | None = None
    rolled_back: bool = False
    minutes_age_seconds: float | None = None
    minutes_from: str = ""


@dataclass(frozen=True, slots=True)
class CollectorStanding:
    """One collector: how old its newest minute is, and what is wrong with it.

    `quiet_since` is set where the newest minute is older than the collector's interval
    explains; `problem` is the reason of the last failed reading, None when that went well. Where
    others send to it, `unsent_since` is set once nobody has for longer than `usual_seconds`.
    """

    collector: str
    lag_seconds: float | None
    quiet_since: float | None = None
    problem: str | None = None
    unsent_since: float | None = None
    usual_seconds: float | None = None

    @property
    def quiet(self) -> bool:
        """Whether nothing new comes of it."""
        return self.quiet_since is not None or self.unsent_since is not None


class Moved(StrEnum):
    """What a detector noticed: latency or failures for the worse or the better, answers, inputs."""

    WORSE = "worse"
    BETTER = "better"
    ANSWERS = "answers"
    TRAFFIC = "traffic"


@dataclass(frozen=True, slots=True)
class Detection:
    """A change of an endpoint that detectors noticed, whether or not anybody announced it.

    Alarms of one endpoint that tell of one event are one detection, `id` is that of the first.
    `at` is when it is estimated to have begun, `raised_at` when it was noticed; `movements` are
    lines. `suspect` names a known change that nothing is claimed of, `declare` is the command that
    makes a change of it. `followed_by` is a claimed change that explains it: the watch decides.
    """

    id: str
    endpoint: str
    moved: Moved
    at: float
    raised_at: float
    movements: tuple[str, ...]
    tolerated: str = ""
    suspect: str = ""
    declare: str = ""
    followed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """Everything a look saw at `at`: every change that is followed, every collector.

    A change that is missing is no longer there (its claim was withdrawn), except those of `unseen`,
    which could not be looked at: nothing is known of them. `looked` False: no change was looked at,
    because looks fail or are another process's; collectors and detections are known all the same.
    """

    at: float
    standings: tuple[Standing, ...]
    collectors: tuple[CollectorStanding, ...] = ()
    unseen: frozenset[str] = frozenset()
    detections: tuple[Detection, ...] = ()
    looked: bool = True
