"""What a replay is asked for, what it plans within its budget, and what it found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nibai.errors import CollectError, UsageError
from nibai.protocols import CaptureRequest, Captures, PairsRequest
from nibai.replaying.plan import Profile, most_inputs
from nibai.replaying.run import Progress, Stop
from nibai.replaying.tables import Tables
from nibai.stats.flip_margins import KindMargins

DEFAULT_RATE = 10.0
"""Requests a second to an address that nobody said another rate of."""

REMEDIES = {
    Stop.BUDGET: "raise --budget and ",
    Stop.FAILING: "check the target and --output, then ",
    Stop.REFUSED: "check the credentials, then ",
    Stop.THROTTLED: "wait, then ",
}

RETRY_ALLOWANCE = 0.1
"""Share of the planned requests that the default budget leaves for retries."""


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What to replay; `rate` requests a second in all, None: as fast as the answers come.

    A variant is what `nibai.app.replay_targets.describe` takes; `options` are for both. `price_usd`
    is per request. `output`, `labels`, `threshold` and `tolerance` say how answers are read and
    judged, as in `nibai compare`; `keep_texts`: texts themselves, not digests.
    """

    captures: CaptureRequest
    baseline: Any
    candidate: Any
    out: Path
    options: Mapping[str, object] = field(default_factory=dict)
    profile: Profile = field(default_factory=Profile)
    rate: float | None = DEFAULT_RATE
    budget: int | None = None
    price_usd: float | None = None
    budget_usd: float | None = None
    retries: int = 4
    give_up_after: int = 20
    output: str | None = None
    labels: tuple[str, ...] = ()
    threshold: float | None = None
    tolerance: float | None = None
    keep_texts: bool = False
    claims: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay will send, said before the first request.

    `requests` in all, `left` of them still to send; `in_flight` calls of an earlier run whose
    answers will never be known; `usd` the price of what is left; `wanted` what the claim asks for.
    """

    captures: Captures
    names: Mapping[str, str]
    profile: Profile
    requests: int
    left: int
    spent: int
    in_flight: int
    budget: int
    rate: float | None
    seconds: float | None
    usd: float | None
    wanted: KindMargins | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay found; files are in `out`."""

    plan: Plan
    progress: Progress
    tables: Tables
    requests: int
    in_flight: int
    pairs: PairsRequest

    @property
    def stopped(self) -> CollectError | None:
        """Why not everything was sent, and what to do; None when everything was."""
        stop = self.progress.stop
        if stop is None:
            return None
        again = "run the same replay again to go on"
        remedy = REMEDIES.get(stop, "")
        return CollectError(
            f"stopped: {self.progress.reason}; {remedy}{again}", reason=stop, retryable=True
        )


def planned_budget(request: ReplayRequest, requests: int) -> int:
    """The most requests that may be sent; UsageError when the plan does not fit."""
    budget = request.budget
    if budget is None:
        budget = requests + math.ceil(RETRY_ALLOWANCE * requests)
    said = f"the budget of {budget:,} requests (--budget)"
    if request.budget_usd is not None:
        if request.price_usd is None:
            raise UsageError("--budget-usd needs --price, the price of one request")
        affordable = math.floor(request.budget_usd / request.price_usd + 1e-9)
        if affordable < budget:
            budget = affordable
            said = f"${request.budget_usd:,g}, which pays {budget:,} requests (--budget-usd)"
    if requests > budget:
        fit = most_inputs(budget, request.profile)
        remedy = f"take fewer inputs (--sample {fit})" if fit else "send larger batches"
        raise UsageError(
            f"the plan needs {requests:,} requests, more than {said}: raise it, or {remedy}"
        )
    return budget
