"""What a server has in the place of a variant that gave nothing: a name may be mistyped."""

from __future__ import annotations

from collections.abc import Collection

from collector.instead import unknown_name
from collector.promql.client import PromqlClient
from collector.promql.selectors import selector
from collector.promql.wanted import BUCKET, Wanted
from nibai.model import Window

COMPONENT = "ic:"


def instead(client: PromqlClient, wanted: Wanted, variant: str, window: Window) -> str | None:
    """Fact and remedy; None where the variant is there, or nobody can tell."""
    if wanted.labels is None:
        return None
    endpoint_label, variant_label = wanted.labels
    variants = _values(client, wanted, variant_label, window, whole=True)
    # Components of an endpoint stand under a label of their own: these are not told.
    if variant in variants or variant.removeprefix(COMPONENT) in variants:
        return None
    if variants:
        return _said("variant", variant, variants)
    word = "endpoint" if endpoint_label != variant_label else "inference component"
    value = dict(wanted.matchers)[endpoint_label]
    return _said(word, value, _values(client, wanted, endpoint_label, window, whole=False))


def _values(
    client: PromqlClient, wanted: Wanted, label: str, window: Window, *, whole: bool
) -> set[str]:
    """Values of a label, of the metric under any of its names; `whole`: of this endpoint only."""
    matchers = wanted.matchers if whole else ()
    names = [one for name in wanted.names for one in (name, f"{name}{BUCKET}")]
    return {
        value
        for name in names
        for value in client.label_values(label, selector(name, matchers, wanted.more), window)
    }


def _said(word: str, value: str, there: Collection[str]) -> str:
    return unknown_name("PromQL knows", word, value, there, "a week")
