"""Which column of a file of pairs holds what, and what kind of answers they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from collector.columns import columns_text, stem
from collector.json_schema import schema_check
from collector.pairs.text import BAD_BYTES
from nibai.errors import UsageError
from nibai.outputs import NUMBERS, SUM_SLACK, TEXTS, VECTORS, OutputKind, OutputSpec
from nibai.protocols import PairsRequest
from nibai.store.files.pair_scan import PairLayout, are_vectors, values
from nibai.store.files.scan import Table

ROLES: Mapping[str, tuple[str, ...]] = {
    "baseline": ("baseline", "baselinelabel", "baselineprediction", "old", "before", "reference"),
    "candidate": ("candidate", "candidatelabel", "candidateprediction", "new", "after"),
    "request_id": ("requestid", "inferenceid", "traceid", "id"),
    "input_hash": ("inputhash", "prompthash"),
    "label": ("label", "truth", "target", "ytrue"),
    "margin": ("margin", "baselinemargin"),
    "baseline_score": ("baselinescore", "oldscore"),
    "candidate_score": ("candidatescore", "newscore"),
    "baseline_invalid": ("baselineinvalid", "oldinvalid"),
    "candidate_invalid": ("candidateinvalid", "newinvalid"),
    "baseline_probabilities": ("baselineprobabilities", "baselineproba"),
    "candidate_probabilities": ("candidateprobabilities", "candidateproba"),
    "baseline_finish_reason": ("baselinefinishreason", "baselinefinish"),
    "candidate_finish_reason": ("candidatefinishreason", "candidatefinish"),
    "baseline_tokens": ("baselinetokens",),
    "candidate_tokens": ("candidatetokens",),
    "baseline_logprob": ("baselinelogprob",),
    "candidate_logprob": ("candidatelogprob",),
    "batch": ("batch", "batchsize"),
    "variant": ("variant",),
    "repeat": ("repeat",),
}
"""Names (without case and separators) by which a column is recognised, the first one best."""

GUESS_ROWS = 1000
MANY_WORDS = 4.0
"""Answers of more words than this, on average, are texts."""

FEW_CLASSES = 100


@dataclass(frozen=True, slots=True)
class Columns:
    """The column of each role, "" where there is none, and the columns of segments."""

    by_role: Mapping[str, str]
    segments: tuple[str, ...]

    def layout(self, table: Table, spec: OutputSpec) -> PairLayout:
        """How the table is read for answers of this kind."""
        roles = {"truth" if role == "label" else role: name for role, name in self.by_role.items()}
        numeric = spec.kind in NUMBERS and not spec.path
        plain = spec.kind is OutputKind.CLASS and not spec.path
        return PairLayout(
            **roles,
            segments=self.segments,
            numeric=numeric,
            labels=spec.labels if plain else (),
            bad_bytes=BAD_BYTES,
            keep_empty=spec.kind in TEXTS,
            vectors=spec.kind in VECTORS
            and not spec.path
            and are_vectors(table, self.by_role["baseline"], self.by_role["candidate"]),
        )


def find_columns(table: Table, request: PairsRequest) -> Columns:
    """The columns of a table; UsageError where one that is needed or named is not there."""
    unknown = sorted(set(request.columns) - {*ROLES, "segment"})
    if unknown:
        raise UsageError(
            f"--columns knows no {unknown[0]!r}: there are {', '.join([*ROLES, 'segment'])}"
        )
    for role, column in request.columns.items():
        _require(table, column, f"--columns {role}=…")
    for column in request.segments:
        _require(table, column, "--segment")
    taken = set(request.columns.values())
    stems = {stem(column): column for column in reversed(table.columns) if column not in taken}
    found = {
        role: request.columns.get(role)
        or next((stems[name] for name in names if name in stems), "")
        for role, names in ROLES.items()
    }
    for role in ("baseline", "candidate"):
        if not found[role]:
            raise UsageError(
                f"{table.name}: no column of {role} answers among {columns_text(table)}: "
                f"name it (--columns {role}=COLUMN)"
            )
    segment = request.columns.get("segment") or stems.get("segment", "")
    segments = request.segments or ((segment,) if segment else ())
    return Columns(found, segments)


def find_spec(table: Table, columns: Columns, request: PairsRequest) -> tuple[OutputSpec, str]:
    """What kind of answers a file holds, and the note that says how that is known."""
    if request.output is not None:
        kind, _, path = request.output.partition(":")
        if kind not in tuple(OutputKind):
            raise UsageError(
                f"--output knows no {kind!r}: there are {', '.join(OutputKind)}, each with :PATH "
                "behind it for an answer inside a JSON document"
            )
        return _spec(OutputKind(kind), request, path), f"answers are read as {kind} (--output)"
    sides = [columns.by_role["baseline"], columns.by_role["candidate"]]
    kind_ = _guess([text for side in sides for text in values(table, side, GUESS_ROWS)], request)
    return _spec(
        kind_, request, ""
    ), f"answers look like {_WORDS[kind_]} (--output to say otherwise)"


_WORDS = {
    OutputKind.CLASS: "classes",
    OutputKind.SCORE: "scores",
    OutputKind.PROBA: "probabilities",
    OutputKind.EMBEDDING: "embeddings",
    OutputKind.RANKING: "rankings",
    OutputKind.JSON: "JSON documents",
    OutputKind.TEXT: "texts",
}


def _spec(kind: OutputKind, request: PairsRequest, path: str) -> OutputSpec:
    if request.schema is not None and kind is not OutputKind.JSON:
        raise UsageError(f"--schema is about JSON answers, and these are read as {kind}")
    return OutputSpec(
        kind,
        path=path,
        fits=None if request.schema is None else schema_check(request.schema),
        labels=request.labels,
        decision_threshold=request.threshold,
        tolerance=request.tolerance,
    )


def _guess(sample: Sequence[str], request: PairsRequest) -> OutputKind:
    texts = [text.strip() for text in sample if text.strip()]
    if not texts:
        return OutputKind.CLASS
    if request.threshold is not None or request.tolerance is not None:
        return OutputKind.SCORE
    if all(text.startswith("[") for text in texts):
        return _guess_list(texts)
    if all(text.startswith("{") for text in texts):
        return OutputKind.JSON
    numbers = [number for text in texts if (number := _number(text)) is not None]
    if len(numbers) > len(texts) / 2:
        whole = all(number == int(number) for number in numbers if abs(number) < 1e15)  # noqa: PLR2004 - exact
        few = len(set(numbers)) <= FEW_CLASSES
        return OutputKind.CLASS if whole and few else OutputKind.SCORE
    words = sum(len(text.split()) for text in texts) / len(texts)
    return OutputKind.TEXT if words > MANY_WORDS else OutputKind.CLASS


def _guess_list(texts: Sequence[str]) -> OutputKind:
    for text in texts:
        try:
            found = json.loads(text)
        except ValueError:
            continue
        if any(isinstance(one, str) for one in found):
            return OutputKind.RANKING
        numbers = [one for one in found if isinstance(one, int | float)]
        if numbers and (min(numbers) < 0 or abs(sum(numbers) - 1) > SUM_SLACK):
            return OutputKind.EMBEDDING
    return OutputKind.PROBA


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def _require(table: Table, column: str, option: str) -> None:
    if column not in table.columns:
        raise UsageError(
            f"{table.name}: no column {column!r} ({option}); there are {columns_text(table)}"
        )


def meaning(spec: OutputSpec) -> Iterator[str]:
    """What it means that two answers differ, where that is not plain."""
    if spec.kind in NUMBERS and spec.decision_threshold is not None:
        yield f"a changed answer is a score on the other side of {spec.decision_threshold:g}"
    elif spec.kind in NUMBERS:
        yield (
            "a changed answer is a score that differs at all (--threshold TAU for a decision, "
            "--tolerance for differences that do not matter)"
            if spec.tolerance is None
            else f"a changed answer is a score that differs by more than {spec.tolerance:g}"
        )
    elif spec.kind is OutputKind.RANKING:
        yield "a changed answer is another item in the first place"
    elif spec.kind is OutputKind.EMBEDDING:
        tolerance = 1e-6 if spec.tolerance is None else spec.tolerance
        yield f"a changed answer is an embedding more than {tolerance:g} away (1 - cosine)"
    elif spec.kind is OutputKind.PROBA:
        yield "a changed answer is another class with the largest probability"
