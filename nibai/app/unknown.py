"""Why a change finds nothing to judge: an endpoint, a variant or a metric that the lake lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches

from nibai.model import Audit, Change, Promise, ReasonCode
from nibai.store.series.blocks import Engine

MOST_NAMES = 5
OF_MINUTES = frozenset({Promise.FASTER, Promise.NO_SLOWER, Promise.THROUGHPUT, Promise.ERRORS})

Stored = Sequence[tuple[str, str, str, int, int, int]]


def with_known(audit: Audit, engine: Engine) -> Audit:
    """The audit with a note of what the lake does hold, where it holds nothing of what was asked.

    A name that is spelt otherwise than its measurements looks like missing data.
    """
    metrics = {
        one.claim.metric
        for one in audit.findings
        if one.claim.promise in OF_MINUTES and one.reason.code is ReasonCode.NO_DATA
    }
    if not metrics:
        return audit
    note = missing(audit.change, metrics, engine.endpoints())
    return audit if note is None else replace(audit, notes=(*audit.notes, note))


def missing(change: Change, metrics: Iterable[str], stored: Stored) -> str | None:
    """What of a change the lake lacks, in words, with the nearest names; None: all is there.

    >>> change = Change("chg-1", "onprem/tokyo/ocr")
    >>> missing(change, {"latency"}, [("onprem/tokyo/ocr-2", "", "latency", 0, 1, 9)])
    'the lake holds nothing of onprem/tokyo/ocr; there is onprem/tokyo/ocr-2 (nibai lake info)'
    """
    own = [row for row in stored if row[0] == change.endpoint]
    if not own:
        return _lacks(f"nothing of {change.endpoint}", change.endpoint, {row[0] for row in stored})
    variants = {row[1] for row in own}
    for variant in (change.baseline_variant, change.candidate_variant):
        if variant is not None and variant not in variants:
            return _lacks(f"no variant {variant!r} of {change.endpoint}", variant, variants)
    have = {row[2] for row in own}
    for metric in sorted(metrics):
        if metric not in have:
            return _lacks(f"no {metric} of {change.endpoint}", metric, have)
    return None


def _lacks(what: str, wanted: str, have: set[str]) -> str:
    names = sorted(name or "-" for name in have)
    if not names:
        return f"the lake holds {what}: it is empty (nibai run receives, nibai collect reads)"
    near = get_close_matches(wanted, names, MOST_NAMES)
    first = [*near, *(name for name in names if name not in near)][:MOST_NAMES]
    more = f" and {len(names) - len(first)} more" if len(names) > len(first) else ""
    verb = "is" if len(names) == 1 else "are"
    return f"the lake holds {what}; there {verb} {', '.join(first)}{more} (nibai lake info)"
