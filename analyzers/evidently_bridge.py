"""Evidently's report and scores beside nibai's verdict.

Never part of a decision. Evidently (`analyzers.evidently_loaded`) takes seconds to import, so it is
asked for inside functions, and text from answers is made harmless first: Evidently puts labels into
a script element as they are, so a label `</script><script>…` would run in its report.
Source: nibai's drift.md, section 10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from analyzers.drift_bands import Sides, described, sampled, shuffles, values_of
from analyzers.drift_tables import evidence_tables, harmless, measured_shares
from analyzers.evidently_loaded import evidently, quiet
from nibai.answer_rows import AnswerColumn, AnswerRows, RowKind
from nibai.artifacts import Artifact, ArtifactMaker
from nibai.claims import print_claim
from nibai.model import Finding, Verdict
from nibai.prediction_evidence import DriftScore
from nibai.stats.column_tests import contingency_p, dependent_ks
from nibai.texts.signs import REFUSAL

MAX_ROWS = 5_000
"""Rows of a side that Evidently sees; more would only cost time, its distances need no more."""

SHUFFLES = 199
"""Shuffled copies behind each null band."""

TEXT_DRIFT = "abs_text_content_drift"
"""A classifier that tells the sides apart; Evidently's other one draws 1000 bootstrap samples."""

SCORES = {
    RowKind.LABEL: ("psi", "jensenshannon"),
    RowKind.NUMBER: ("psi", "jensenshannon", "wasserstein"),
    RowKind.TEXT: ("psi", "jensenshannon", "wasserstein"),
}


class EvidentlyReport:
    """Makes the artifact; `seed` fixes the shuffles of the null bands."""

    def __init__(self, seed: int = 20) -> None:
        self.seed = seed

    def make(self, rows: AnswerRows, findings: Sequence[Finding]) -> Artifact:
        """Report, scores and snapshot; without Evidently the notes say why there are none."""
        rows = sampled(rows, MAX_ROWS, np.random.default_rng(self.seed))
        try:
            found = scores(rows, np.random.default_rng(self.seed))
            snapshot, notes = _snapshot(rows, findings, found)
            said = (*_preset_said(snapshot), *found)
            return Artifact(snapshot.get_html_str(as_iframe=False), snapshot.json(), said, notes)
        except Exception as error:  # noqa: BLE001 - a broken vendor must not end an audit
            reason = f"{type(error).__name__}: {_first_line(error)}"
            return Artifact(None, None, (), (f"no report by Evidently ({reason})",))


def build(options: Mapping[str, object]) -> ArtifactMaker:
    """The maker of the report; option `seed`."""
    return EvidentlyReport(int(str(options.get("seed", 20))))


def scores(rows: AnswerRows, rng: np.random.Generator) -> tuple[DriftScore, ...]:
    """PSI, Jensen-Shannon and Wasserstein of every column, each with its band under no change.

    The band holds 95 % of what shuffled rows score: pairs swap sides at random, windows exchange
    whole blocks. Of texts the length in characters is scored.
    """
    e = evidently()
    found = []
    for column in rows.columns:
        sides = values_of(column)
        if not all(map(len, _series(column, sides))):
            continue  # a side without a single number has no distance
        shuffled = [_series(column, one) for one in shuffles(rows, sides, SHUFFLES, rng)]
        for name in SCORES[column.kind]:
            kind = e.kinds[column.kind]
            score = partial(_score, e.get_registered_stattest(name, kind), kind)
            null = [score(*one) for one in shuffled]
            value = score(*_series(column, sides))
            found.append(described(f"{_title(column)} {name}", value, null, rows))
    return tuple(found)


def register_stattests() -> tuple[str, str]:
    """Teach Evidently two tests that keep their error rate; their names for `method=`.

    `nibai_chi2` takes both samples as random (Evidently's chisquare takes the reference for known);
    `nibai_ks` counts autocorrelation, rows in time order.
    """
    e = evidently()

    def chi2(old: Any, new: Any, _kind: Any, threshold: float) -> tuple[float, bool]:  # noqa: ANN401 - Evidently's
        counts = [side.value_counts() for side in (old, new)]
        labels = counts[0].index.union(counts[1].index)
        p = contingency_p(*(count.reindex(labels, fill_value=0) for count in counts))
        return p, p < threshold

    def ks(old: Any, new: Any, _kind: Any, threshold: float) -> tuple[float, bool]:  # noqa: ANN401 - Evidently's
        p = dependent_ks(old.to_numpy(), new.to_numpy())[1]
        return p, p < threshold

    for name, said, kind, test in (
        ("nibai_chi2", "chi-square of two samples", RowKind.LABEL, chi2),
        ("nibai_ks", "KS with autocorrelation", RowKind.NUMBER, ks),
    ):
        e.register_stattest(
            e.StatTest(
                name=name,
                display_name=said,
                allowed_feature_types=[e.kinds[kind]],
                default_threshold=0.05,
            ),
            test,
        )
    return "nibai_chi2", "nibai_ks"


# -- the report -----------------------------------------------------------------------------


def _snapshot(
    rows: AnswerRows, findings: Sequence[Finding], found: Sequence[DriftScore]
) -> tuple[Any, tuple[str, ...]]:
    """The report with as much of Evidently's own as runs on these rows, and what was left out."""
    e = evidently()
    ours = list(_own_metrics(findings, found))
    texts = [_title(column) for column in rows.columns if column.kind is RowKind.TEXT]
    wanted = {"its drift preset": _preset(rows)} | {
        f"the text drift of {name}": [e.ValueDrift(column=name, method=TEXT_DRIFT)]
        for name in texts
    }
    try:
        return _run(rows, [*ours, *(one for metrics in wanted.values() for one in metrics)]), ()
    except Exception:  # noqa: BLE001 - thin columns break it in many ways: find out which
        kept, notes = _what_runs(rows, wanted)
        return _run(rows, [*ours, *kept]), notes


def _preset_said(snapshot: Any) -> tuple[DriftScore, ...]:  # noqa: ANN401 - a Snapshot of Evidently's
    """What its drift preset, with its own thresholds, would have told on its own."""
    for metric in snapshot.dict()["metrics"]:
        if metric["metric_name"].startswith("DriftedColumnsCount"):
            columns, drifted = metric["config"]["columns"], metric["value"]["count"]
            over = metric["value"]["share"] >= metric["config"]["drift_share"]
            said = "drift" if over else "no drift"
            name = f"drifted by Evidently's preset, of {len(columns)} columns:"
            return (DriftScore(name, float(drifted), said=f"by its own thresholds {said}"),)
    return ()


def _what_runs(
    rows: AnswerRows, wanted: Mapping[str, list[Any]]
) -> tuple[list[Any], tuple[str, ...]]:
    kept: list[Any] = []
    notes = []
    for name, metrics in wanted.items():
        try:
            _run(rows, metrics)
        except Exception as error:  # noqa: BLE001 - as above
            notes.append(f"Evidently could not compute {name}: {_first_line(error)}")
        else:
            kept += metrics
    return kept, tuple(notes)


def _run(rows: AnswerRows, metrics: list[Any]) -> Any:  # noqa: ANN401 - a Snapshot of Evidently's
    e = evidently()
    with quiet():
        sides = [_dataset(rows, side) for side in (0, 1)]
        return e.Report(metrics, include_tests=False).run(sides[1], sides[0])


def _preset(rows: AnswerRows) -> list[Any]:
    e = evidently()
    names = [_title(column) for column in rows.columns if column.kind is not RowKind.TEXT]
    names += [
        descriptor.alias
        for column in rows.columns
        if column.kind is RowKind.TEXT
        for descriptor in _descriptors(_title(column))
    ]
    if not names:
        return []
    return [
        e.DataDriftPreset(
            columns=names,
            num_method="wasserstein",
            cat_method="jensenshannon",
            include_tests=False,
        )
    ]


def _dataset(rows: AnswerRows, side: int) -> Any:  # noqa: ANN401 - a Dataset of Evidently's
    e = evidently()
    names: dict[RowKind, list[str]] = {kind: [] for kind in RowKind}
    data = {}
    for column in rows.columns:
        names[column.kind].append(_title(column))
        answers = (column.baseline, column.candidate)[side]
        number = column.kind is RowKind.NUMBER
        data[_title(column)] = (
            np.asarray(answers, dtype=np.float64)
            if number
            else [harmless(text) for text in answers]
        )
    return e.Dataset.from_pandas(
        e.pandas.DataFrame(data),
        data_definition=e.DataDefinition(
            numerical_columns=names[RowKind.NUMBER],
            categorical_columns=names[RowKind.LABEL],
            text_columns=names[RowKind.TEXT],
        ),
        descriptors=[one for name in names[RowKind.TEXT] for one in _descriptors(name)],
    )


def _own_metrics(findings: Sequence[Finding], found: Sequence[DriftScore]) -> Iterator[Any]:
    """The verdict (1: confirmed) with its tables, then every share that was measured."""
    number = evidently().NibaiNumber
    for finding in findings:
        if finding.evidence.predictions is None:
            continue
        yield number(
            title=harmless(print_claim(finding.claim)),
            number=float(finding.verdict is Verdict.CONFIRMED),
            shown=finding.verdict.value.replace("_", " "),
            said=harmless(finding.reason.text),
            tables=evidence_tables(finding, found),
        )
        for name, share, shown in measured_shares(finding):
            yield number(title=harmless(name), number=share, shown=shown, said=harmless(name))


def _descriptors(name: str) -> list[Any]:
    e = evidently().descriptors
    return [
        e.TextLength(name, alias=f"{name}: characters"),
        e.WordCount(name, alias=f"{name}: words"),
        e.SentenceCount(name, alias=f"{name}: sentences"),
        e.NonLetterCharacterPercentage(name, alias=f"{name}: non-letters, %"),
        e.IsValidJSON(name, alias=f"{name}: valid JSON"),
        e.RegExp(name, reg_exp=f"(?is).*?(?:{REFUSAL.pattern})", alias=f"{name}: refusals"),
        e.Contains(name, items=["```"], alias=f"{name}: code fences"),
    ]


def _title(column: AnswerColumn) -> str:
    return harmless(column.name)


def _series(column: AnswerColumn, sides: Sides) -> Any:  # noqa: ANN401 - pandas' Series
    finite = [side if column.kind is RowKind.LABEL else side[np.isfinite(side)] for side in sides]
    return [evidently().pandas.Series(side) for side in finite]


def _score(test: Callable[..., Any], kind: Any, old: Any, new: Any) -> float:  # noqa: ANN401 - Evidently's
    with np.errstate(all="ignore"):
        return float(test(old, new, kind, None).drift_score)


def _first_line(error: Exception) -> str:
    return harmless(str(error).partition("\n")[0][:200])
