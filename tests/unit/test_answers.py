"""Prediction evidence as people see it: escaped, drawn, and quiet about what was not measured."""

from dataclasses import replace

import pytest
from support import audits

from dashboards import answers, answers_charts, markdown, report, text, theme
from nibai.model import Audit
from nibai.prediction_evidence import Bounds, Gate, GateState, PredictionEvidence, SegmentFlips
from nibai.predictions import EvidenceLevel

LABEL = "<script>alert(1)</script>"
CHARTS = (answers_charts.gates, answers_charts.by_margin, answers_charts.by_segment)


def with_evidence(audit: Audit, evidence):
    results = tuple(
        replace(
            result,
            findings=tuple(
                replace(one, evidence=replace(one.evidence, predictions=evidence))
                if one.evidence.predictions is not None
                else one
                for one in result.findings
            ),
        )
        for result in audit.sentences
    )
    return replace(audit, sentences=results)


def test_a_label_from_outside_is_text_everywhere():
    hostile = replace(
        audits.predictions(LABEL),
        segments=(SegmentFlips(f"tenant={LABEL}", 10, 1, Bounds(0.1, 0.0, 0.4), 0.001, True),),  # noqa: FBT003
        source=LABEL,
        batch_profile=LABEL,
        quarantined={LABEL: 1},
    )
    audit = with_evidence(audits.answered(), hostile)
    assert "<script>alert" not in report.build({}).render(audit)
    assert "<script>alert" not in markdown.build({}).render(audit)
    assert LABEL in text.build({"width": 200}).render(audit), "a terminal shows it as it is"


def test_evidence_with_nothing_in_it_is_said_in_one_line():
    bare = PredictionEvidence(EvidenceLevel.OUTPUTS_ONLY, "files", 0, 0)
    audit = with_evidence(audits.answered(), bare)
    said = text.build({}).render(audit)
    assert "\nlevel D, before and after, outputs alone\n" in said
    found = answers.answers(audit)[0]
    assert [chart(found) for chart in CHARTS] == [None, None, None]
    assert "Did the answers change?" in report.build({}).render(audit)


def test_claims_about_the_same_pairs_share_one_section():
    found = answers.answers(audits.answered())
    assert [one.title for one in found] == ["Did the answers change? (batch 8)"]
    assert [gate.name for gate in found[0].gates] == [
        "excess flips",
        "self-flip",
        "accuracy",
        "invalid outputs",
    ]


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.__name__)
def test_every_chart_draws(chart):
    drawing = theme.svg(chart(answers.answers(audits.answered())[0]), 740)
    assert drawing.startswith("<svg")
    assert drawing.count("<path") > 3


def test_an_open_bound_reaches_the_edge_of_the_chart():
    gate = Gate("excess flips", GateState.OPEN, Bounds(0.01, None, None), 0.02, 40, "few pairs")
    evidence = replace(audits.predictions(), gates=(gate,))
    found = answers.Answers("", evidence, (gate,))
    layer = answers_charts.gates(found)["layer"]
    point = layer[2]["data"]["values"][0]
    assert [point["low"], point["high"]] == layer[2]["encoding"]["x"]["scale"]["domain"]
