"""How many pairs of answers a claim about predictions needs, said before anybody sends them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nibai.app.kinds import change_kinds
from nibai.model import Change, Claim, Promise
from nibai.prediction_evidence import PairsNeeded
from nibai.prediction_plans import BY_MARGIN
from nibai.stats.discordant import Discordant
from nibai.stats.equivalence import tost_pairs
from nibai.stats.flip_margins import (
    ALPHA,
    CALLS_PER_INPUT,
    FLOOR_PAIRS,
    kinds_text,
    margins_of,
    pairs_table,
)
from nibai.stats.paired import least_pairs

DISCORDANT = (0.01, 0.025, 0.05)
"""Shares of answers that get right or wrong, for which accuracy is planned."""

NAMED = (*BY_MARGIN, Promise.ACCURACY)


@dataclass(frozen=True, slots=True)
class PairsPlan:
    """Pairs after which a claim is decided; shares of all answers.

    `rows` are about flips (floor 0, one gate of four), `accuracy` where it did not change:
    (share of answers that get right or wrong, pairs at any look, pairs for one look at 80 % power).
    `requests` is the cost of replaying the wanted pairs. `reason` says why there is no plan.
    """

    margin: float | None
    source: str = ""
    wanted: int | None = None
    floor: int = FLOOR_PAIRS
    rows: tuple[PairsNeeded, ...] = ()
    accuracy: tuple[tuple[float, int | None, int], ...] = ()
    requests: int | None = None
    reason: str | None = None


def plan_pairs(change: Change, claim: Claim) -> PairsPlan:
    """The plan of one part about predictions."""
    margins = margins_of(change, claim)
    if claim.promise is Promise.ACCURACY:
        allowed = claim.amount + claim.margin
        if not allowed:
            return PairsPlan(0.0, reason="no number of pairs shows a fall of at most nothing")
        sizes = tuple(
            (share, _at_any_look(share, allowed), max(tost_pairs(share, allowed), FLOOR_PAIRS))
            for share in DISCORDANT
        )
        return PairsPlan(allowed, "stated", accuracy=sizes)
    if margins is None:
        what = f"a change of {kinds_text(change.kinds)} has no default margin"
        unknown = "nothing says what kind of change this is (--kind)"
        return PairsPlan(
            None, reason=f"{what if change.kinds else unknown}: state one, such as “within 2%”"
        )
    if not margins.flips:
        return PairsPlan(0.0, margins.source, reason="no number of pairs shows that none changes")
    requests = None if margins.pairs is None else CALLS_PER_INPUT * margins.pairs
    rows = pairs_table(margins.flips)
    return PairsPlan(margins.flips, margins.source, margins.pairs, rows=rows, requests=requests)


def _at_any_look(discordant: float, allowed: float) -> int | None:
    """Pairs with which accuracy that did not change is within its margin, whenever one looks."""

    def decides(n: int) -> bool:
        each = discordant / 2 * n
        return Discordant(n, each, each).p_above(-allowed) <= ALPHA

    found = least_pairs(decides)
    return None if found is None else max(found, FLOOR_PAIRS)


def change_of_kinds(kinds: Sequence[str]) -> Change:
    """A change that is only known by its kinds."""
    found, evidence = change_kinds(kinds)
    return Change("plan", "", found, evidence=evidence)
