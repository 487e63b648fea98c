"""Which of a metric's names a server has, in which form, and whether it counts since the last."""

from __future__ import annotations

from collections.abc import Collection

from collector.promql.client import PromqlClient
from collector.promql.selectors import selector
from collector.promql.wanted import BUCKET, TEMPORALITY, Found, Kind, Temporality, Wanted
from nibai.model import Window


def discovered(
    client: PromqlClient, wanted: Wanted, names: Collection[str], window: Window
) -> Found | None:
    """The first name that the server has; None when it has none of them."""
    for name in wanted.names:
        classic = f"{name}{BUCKET}"
        if name in names:
            return Found(
                wanted, name, classic=False, temporality=_told(client, wanted, name, window)
            )
        if wanted.kind is Kind.HISTOGRAM and classic in names:
            return Found(
                wanted, classic, classic=True, temporality=_told(client, wanted, classic, window)
            )
    return None


def _told(client: PromqlClient, wanted: Wanted, name: str, window: Window) -> Temporality:
    """As configured, as the label says, or as is usual there."""
    if wanted.temporality is not None:
        return wanted.temporality
    chosen = selector(name, wanted.matchers, wanted.more)
    values = set(client.label_values(TEMPORALITY, chosen, window))
    if values == {Temporality.DELTA.value}:
        return Temporality.DELTA
    if values == {Temporality.CUMULATIVE.value}:
        return Temporality.CUMULATIVE
    return wanted.otherwise
