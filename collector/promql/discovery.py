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
    """The first name that the server has, as it is or with `_bucket`; None: it has none."""
    for name in wanted.names:
        there = next((one for one in (name, f"{name}{BUCKET}") if one in names), None)
        if there is not None:
            classic = wanted.kind is Kind.HISTOGRAM and there.endswith(BUCKET)
            failures = wanted.failures if set(wanted.failures) <= set(names) else ()
            temporality = _told(client, wanted, there, window)
            return Found(wanted, there, classic, temporality, failures)
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
