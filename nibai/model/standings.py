"""How claims and collectors stand after a look: what rules make alerts of."""

from __future__ import annotations

from dataclasses import dataclass

from nibai.model.findings import Finding
from nibai.model.promises import Change, Sentence
from nibai.model.verdicts import Reason, Verdict


@dataclass(frozen=True, slots=True)
class Standing:
    """One sentence of one change, as the anytime-valid path sees it.

    `findings` are those of its parts, with estimate, interval and evidence; they hold at any number
    of looks. `decided_at` is the end of the block that decided, `audit` the id of the audit stored
    then; both None before. `no_data_since`: the endpoint's newest final minute, where that is
    older than it should be. `superseded_by` is a newer change of the same endpoint, which takes
    this one back where it is `rolled_back`. Times are seconds since the epoch.
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


@dataclass(frozen=True, slots=True)
class CollectorStanding:
    """One collector: how old its newest final minute is, and what is wrong with it.

    `quiet_since` is set where the newest final minute is older than the collector's interval
    explains; `problem` is the reason of the last failed reading, None when that went well.
    """

    collector: str
    lag_seconds: float | None
    quiet_since: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """Everything a look saw at `at`: every change that is followed, every collector.

    A change that is missing is no longer there (its claim was withdrawn), except those of `unseen`,
    which could not be looked at: nothing is known of them.
    """

    at: float
    standings: tuple[Standing, ...]
    collectors: tuple[CollectorStanding, ...] = ()
    unseen: frozenset[str] = frozenset()
