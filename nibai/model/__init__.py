"""The words of nibai as frozen values: what was measured, promised, estimated and found.

Pure data: no I/O, no clock, no configuration. Times are seconds since the Unix epoch (UTC).
One file a stage of the pipeline; everything is imported from here.
"""

from __future__ import annotations

from nibai.model.alerts import Alert, AlertState, Notice, Resolution, Severity, Silence
from nibai.model.audits import Audit, SideSummary
from nibai.model.comparison import (
    BlockSeries,
    Comparison,
    History,
    LoadStrata,
    RecordedAs,
    ReplicaSample,
    Side,
    UnitKind,
    WindowKind,
)
from nibai.model.costs import CostEvidence, SideCost
from nibai.model.exhibits import (
    CurvePoint,
    DecompositionRow,
    Density,
    Exhibits,
    LoadRow,
    SegmentRow,
    TimelinePoint,
    UnitRow,
)
from nibai.model.findings import Evidence, FalsePositiveRate, Finding, SentenceResult
from nibai.model.measurements import (
    ExpectedAnswers,
    Observation,
    Outcome,
    Provenance,
    SeriesKey,
    Window,
)
from nibai.model.promises import Change, ChangeKind, Claim, Promise, Sentence
from nibai.model.standings import CollectorStanding, Detection, Moved, Round, Standing
from nibai.model.verdicts import Estimate, Reason, ReasonCode, Verdict

__all__ = [
    "Alert",
    "AlertState",
    "Audit",
    "BlockSeries",
    "Change",
    "ChangeKind",
    "Claim",
    "CollectorStanding",
    "Comparison",
    "CostEvidence",
    "CurvePoint",
    "DecompositionRow",
    "Density",
    "Detection",
    "Estimate",
    "Evidence",
    "Exhibits",
    "ExpectedAnswers",
    "FalsePositiveRate",
    "Finding",
    "History",
    "LoadRow",
    "LoadStrata",
    "Moved",
    "Notice",
    "Observation",
    "Outcome",
    "Promise",
    "Provenance",
    "Reason",
    "ReasonCode",
    "RecordedAs",
    "ReplicaSample",
    "Resolution",
    "Round",
    "SegmentRow",
    "Sentence",
    "SentenceResult",
    "SeriesKey",
    "Severity",
    "Side",
    "SideCost",
    "SideSummary",
    "Silence",
    "Standing",
    "TimelinePoint",
    "UnitKind",
    "UnitRow",
    "Verdict",
    "Window",
    "WindowKind",
]
