"""Windows and verdicts of a change as regions on dashboards, kept in step by our own tags.

Grafana's numbers of annotations are not kept: its next API will not have them. What is ours is
found by tag, so that doing it again changes what is there.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dashboards.grafana.client import LegacyGrafana
from dashboards.grafana.port import Annotation, Grafana, StoredAnnotation
from dashboards.grafana.transport import TIMEOUT_SECONDS, Transport
from nibai.model import Audit, Finding

OURS = "nibai"
LONGEST_TAG = 100
"""Grafana keeps a tag's key and value in columns of this size."""

LONGEST_TEXT = 2000
SHOWN_FINDINGS = 12


class WindowAnnotator:
    """Draws the regions of audits."""

    def __init__(self, grafana: Grafana) -> None:
        self._grafana = grafana

    def annotate(self, audit: Audit) -> None:
        """Regions of the change are drawn, or brought up to date; raises NotifyError."""
        wanted = regions(audit)
        if not wanted:
            return
        held = self._grafana.find_annotation((OURS, tag("change", audit.change.id)))
        for name, region in wanted.items():
            known = _of_window(held, name)
            if known is None:
                self._grafana.annotate(region)
            elif not _same(known.annotation, region):
                self._grafana.patch_annotation(known.id, region)


def build(options: Mapping[str, Any]) -> WindowAnnotator:
    """The annotator of a Grafana; options are url, token, org_id and timeout_seconds."""
    transport = Transport(
        options["url"],
        options["token"],
        org_id=options.get("org_id"),
        timeout_seconds=options.get("timeout_seconds", TIMEOUT_SECONDS),
    )
    return WindowAnnotator(LegacyGrafana(transport))


def regions(audit: Audit) -> dict[str, Annotation]:
    """Baseline window, settling time and candidate window; those whose times are known."""
    before, after = audit.baseline, audit.candidate
    spans = {
        "baseline": (before.from_seconds, before.until_seconds),
        "settling": (audit.change.effective_at or before.until_seconds, after.from_seconds),
        "candidate": (after.from_seconds, after.until_seconds),
    }
    texts = {
        "baseline": f"Baseline {before.label}: {before.requests:,} requests",
        "settling": "Settling: belongs to neither side",
        "candidate": "\n".join([f"Candidate {after.label}: {after.requests:,} requests",
                                *_verdict(audit)]),
    }  # fmt: skip
    return {
        name: Annotation(start, end, html.escape(texts[name])[:LONGEST_TEXT], _tags(audit, name))
        for name, (start, end) in spans.items()
        if start is not None and end is not None and start < end
    }


def tag(key: str, value: str) -> str:
    """A tag that Grafana can hold; a longer value ends in a hash of all of it.

    >>> tag("change", "c1")
    'change:c1'
    """
    if len(value) > LONGEST_TAG:
        digest = hashlib.sha256(value.encode()).hexdigest()[:12]
        value = f"{value[: LONGEST_TAG - 13]}~{digest}"
    return f"{key}:{value}"


def _tags(audit: Audit, window: str) -> tuple[str, ...]:
    return (
        OURS,
        tag("change", audit.change.id),
        tag("endpoint", audit.change.endpoint),
        tag("verdict", audit.verdict.value),
        tag("window", window),
    )


def _verdict(audit: Audit) -> Iterator[str]:
    word = audit.verdict.value.replace("_", " ").upper()
    yield f"{word}: {audit.reason.text}"
    for sentence in audit.sentences:
        yield f"{sentence.verdict.value.replace('_', ' ')}: “{sentence.sentence.text}”"
    yield from (_estimate(one) for one in audit.findings[:SHOWN_FINDINGS] if one.estimate)


def _estimate(finding: Finding) -> str:
    found = finding.estimate
    assert found is not None  # noqa: S101 - the caller chose those that have one
    claim = finding.claim
    at = "" if claim.quantile is None else f" at {100 * claim.quantile:.4g} %"
    where = "" if claim.segment is None else f" for {claim.segment[0]}={claim.segment[1]}"
    value, low, high = (_number(one) for one in (found.value, found.low, found.high))
    level = f"{100 * found.level:.4g} %"
    return f"{claim.promise.value}, {claim.metric}{at}{where}: {value} [{low}, {high}] at {level}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _of_window(held: Sequence[StoredAnnotation], name: str) -> StoredAnnotation | None:
    wanted = tag("window", name)
    return next((one for one in held if wanted in one.annotation.tags), None)


def _same(held: Annotation, wanted: Annotation) -> bool:
    def seen(one: Annotation) -> tuple[object, ...]:
        return round(one.start, 3), round(one.end, 3), one.text, sorted(one.tags)

    return seen(held) == seen(wanted)
