"""The month's limit of a source: what was paid is written down first, and reading stops in time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from nibai.errors import CollectError
from nibai.store.state.database import State
from nibai.store.state.metered import bill, put_paid


@dataclass(slots=True)
class Purse:
    """What a source may cost in a calendar month (UTC), over all processes that read it.

    Where nobody knows what the next question costs, it is taken for the dearest one of the month,
    at its beginning for that of the month before.
    """

    state: State
    source: str
    limit: float
    clock: Callable[[], float]
    _together: float = 0.0

    def pay(self, dollars: float, *, settled: bool) -> None:
        """Keep what was metered; parts up to the settled one were asked for at once."""
        if not dollars and not settled:
            return
        self._together += dollars
        if dollars:
            put_paid(self.state, self.source, self._month, dollars, self._together)
        if settled:
            self._together = 0.0

    def check(self, ahead: float | None = None) -> None:
        """CollectError where going on may cost more than is left of the month.

        `ahead`: what comes next costs so much at most; None: not known.
        """
        if math.isinf(self.limit) or ahead == 0.0:
            return
        month = self._month
        so_far = bill(self.state, self.source, month)
        most = so_far.dearest if ahead is None else ahead
        if so_far.dollars + most <= self.limit and so_far.dollars < self.limit:
            return
        raise CollectError(
            f"{self.source}: ${so_far.dollars:.4f} metered in {month}, what comes next may cost "
            f"${most:.4f}, and the limit is ${self.limit:.4f}: nothing more is "
            "read this month; read less often (every), fewer endpoints or metrics, or raise "
            "dollars_per_month",
            reason="spent",
        )

    @property
    def _month(self) -> str:
        return f"{datetime.fromtimestamp(self.clock(), UTC):%Y-%m}"
