"""An audit as one JSON document and back, without loss.

The shape is a contract (`docs/audit.schema.json`, schema name `nibai.audit/1`): scripts read it and
the store keeps it. Infinite bounds and whatever was not measured are null; times are ISO 8601 UTC.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any

from nibai.claims import print_claim
from nibai.model import (
    Audit,
    Change,
    Claim,
    Estimate,
    Evidence,
    Exhibits,
    Finding,
    Promise,
    Reason,
    ReasonCode,
    Sentence,
    SentenceResult,
    SideSummary,
    Verdict,
)

SCHEMA = "nibai.audit/1"

Document = dict[str, Any]


def to_document(audit: Audit) -> Document:
    """The audit as plain dictionaries, lists, numbers and strings."""
    change = encode(audit.change)
    del change["sentences"]  # they stand once, in `sentences` and `claims`
    return {
        "schema": SCHEMA,
        "id": audit.id,
        "created_at": iso(audit.created_at),
        "verdict": audit.verdict.value,
        "reason": audit.reason.text,
        "reason_code": audit.reason.code.value,
        "level": audit.level,
        "sentences": [_sentence(result) for result in audit.sentences],
        "baseline": _side(audit.baseline),
        "candidate": _side(audit.candidate),
        "claims": [
            _claim(index, finding)
            for index, result in enumerate(audit.sentences)
            for finding in result.findings
        ],
        "notes": list(audit.notes),
        "change": change,
        "exhibits": [encode(exhibit) for exhibit in audit.exhibits],
        "nibai_version": audit.nibai_version,
    }


def from_document(document: Mapping[str, Any]) -> Audit:
    """The audit a document was made from; ValueError for another schema."""
    if document.get("schema") != SCHEMA:
        raise ValueError(f"not a {SCHEMA} document but {document.get('schema')!r}")
    results = tuple(
        _result(index, sentence, document["claims"])
        for index, sentence in enumerate(document["sentences"])
    )
    change = decode(Change, {**document["change"], "sentences": []})
    return Audit(
        id=document["id"],
        created_at=_seconds(document["created_at"]) or 0.0,
        change=dataclasses.replace(change, sentences=tuple(r.sentence for r in results)),
        verdict=Verdict(document["verdict"]),
        reason=_reason(document),
        sentences=results,
        baseline=_summary(document["baseline"]),
        candidate=_summary(document["candidate"]),
        exhibits=tuple(decode(Exhibits, exhibit) for exhibit in document["exhibits"]),
        notes=tuple(document["notes"]),
        nibai_version=document["nibai_version"],
        level=document["level"],
    )


def dumps(audit: Audit) -> str:
    """The document as text: stable, readable, without NaN."""
    return json.dumps(to_document(audit), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def iso(seconds: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC.

    >>> iso(1764000000.25)
    '2025-11-24T16:00:00.250000Z'
    """
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


# -- parts ----------------------------------------------------------------------------------


def _sentence(result: SentenceResult) -> Document:
    return {
        "text": result.sentence.text,
        "verdict": result.verdict.value,
        "reason": result.reason.text,
        "reason_code": result.reason.code.value,
    }


def _side(summary: SideSummary) -> Document:
    return {
        "label": summary.label,
        "requests": summary.requests,
        "replicas": summary.replicas,
        "from": iso(summary.from_seconds),
        "until": iso(summary.until_seconds),
        "sources": list(summary.sources),
    }


def _summary(side: Mapping[str, Any]) -> SideSummary:
    return SideSummary(
        side["label"],
        side["requests"],
        side["replicas"],
        _seconds(side["from"]),
        _seconds(side["until"]),
        tuple(side["sources"]),
    )


def _claim(index: int, finding: Finding) -> Document:
    claim = finding.claim
    return {
        "sentence": index,
        "claim": print_claim(claim),
        "metric": claim.metric,
        "quantile": claim.quantile,
        "segment": None if claim.segment is None else "=".join(claim.segment),
        "verdict": finding.verdict.value,
        "reason": finding.reason.text,
        "reason_code": finding.reason.code.value,
        "estimate": None if finding.estimate is None else encode(finding.estimate),
        "evidence": encode(finding.evidence),
        "analyzer": finding.analyzer,
        "promise": claim.promise.value,
        "amount": claim.amount,
        "margin": claim.margin,
        "margin_assumed": claim.margin_assumed,
        "metric_named": claim.metric_named,
        "raw": claim.raw,
    }


def _result(
    index: int, sentence: Mapping[str, Any], claims: list[Mapping[str, Any]]
) -> SentenceResult:
    findings = tuple(_finding(claim) for claim in claims if claim["sentence"] == index)
    return SentenceResult(
        Sentence(sentence["text"], tuple(finding.claim for finding in findings)),
        Verdict(sentence["verdict"]),
        _reason(sentence),
        findings,
    )


def _finding(entry: Mapping[str, Any]) -> Finding:
    name, _, value = (entry["segment"] or "").partition("=")
    claim = Claim(
        Promise(entry["promise"]),
        entry["amount"],
        metric=entry["metric"],
        quantile=entry["quantile"],
        segment=(name, value) if entry["segment"] is not None else None,
        margin=entry["margin"],
        metric_named=entry["metric_named"],
        margin_assumed=entry["margin_assumed"],
        # Audits that were stored before claims could be raw do not say so.
        raw=entry.get("raw", False),
    )
    estimate = entry["estimate"]
    return Finding(
        claim,
        Verdict(entry["verdict"]),
        _reason(entry),
        None if estimate is None else decode(Estimate, estimate),
        decode(Evidence, entry["evidence"]),
        entry["analyzer"],
    )


def _reason(entry: Mapping[str, Any]) -> Reason:
    return Reason(ReasonCode(entry["reason_code"]), entry["reason"])


def _seconds(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()


# -- values <-> plain data --------------------------------------------------------------------


def encode(value: object) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """A frozen value of `nibai.model` as plain data; numbers that are not finite become null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: encode(getattr(value, field.name)) for field in fields}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    return value


def decode(kind: Any, data: Any) -> Any:  # noqa: ANN401, PLR0911 - one return per kind of type
    """Plain data as a value of a type of `nibai.model`; the inverse of `encode`."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: decode(hints[name], item) for name, item in data.items()})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        inner = next(argument for argument in arguments if argument is not type(None))
        return None if data is None else decode(inner, data)
    if origin is tuple:
        inner_kinds = [arguments[0]] * len(data) if arguments[-1] is Ellipsis else arguments
        return tuple(decode(inner, item) for inner, item in zip(inner_kinds, data, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        return {key: decode(arguments[1], item) for key, item in data.items()}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is float:
        return math.nan if data is None else float(data)
    return data


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
