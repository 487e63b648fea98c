"""The report of another tool beside an audit, written where the user wants it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nibai import plugins
from nibai.answer_rows import AnswerRows
from nibai.artifacts import Artifact, ArtifactMaker
from nibai.errors import PluginError, UsageError
from nibai.model import Audit, Finding, SentenceResult
from nibai.protocols import Renderer

MAX_ROWS = 5_000
"""Single pairs that the report is made of."""

ONLY_COUNTS = "no report by Evidently: it needs single answers, and only counts of them are known"


def with_evidently(audit: Audit, rows: AnswerRows | None, path: Path) -> Audit:
    """The audit with Evidently's scores and a note of the file; no verdict and no reason changes.

    A path that ends in .json gets the snapshot, for teams that run Evidently; any other the HTML
    page. Where Evidently fails the page is nibai's own, and a note says so.
    """
    made = _made(audit, rows)
    text = made.snapshot if path.suffix == ".json" else made.html
    own = text is None
    notes = made.notes
    if text is None:
        notes = (*notes, f"{path.name} is nibai's own report")
        text = _own(replace(audit, notes=(*audit.notes, *notes)))
    _write(path, text)
    name = None if own else path.name
    sentences = tuple(_beside(result, made, name) for result in audit.sentences)
    return replace(audit, sentences=sentences, notes=(*audit.notes, *notes))


def _made(audit: Audit, rows: AnswerRows | None) -> Artifact:
    if rows is None:
        return Artifact(None, None, (), (ONLY_COUNTS,))
    maker = plugins.load("nibai.artifacts", "evidently")
    if not isinstance(maker, ArtifactMaker):
        raise PluginError("the plug-in 'evidently' in nibai.artifacts makes nothing: reinstall")
    return maker.make(rows, audit.findings)


def _own(audit: Audit) -> str:
    renderer = plugins.load("nibai.renderers", "html")
    if not isinstance(renderer, Renderer):
        raise PluginError("the plug-in 'html' in nibai.renderers does not render: reinstall")
    return renderer.render(audit)


def _beside(result: SentenceResult, made: Artifact, name: str | None) -> SentenceResult:
    findings = tuple(_described(finding, made, name) for finding in result.findings)
    return replace(result, findings=findings)


def _described(finding: Finding, made: Artifact, name: str | None) -> Finding:
    found = finding.evidence.predictions
    if found is None:
        return finding
    described = replace(found, scores=made.scores, artifact=name)
    return replace(finding, evidence=replace(finding.evidence, predictions=described))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path}: the report cannot be written ({error.strerror}): "
            "choose another place (--evidently)"
        ) from error
