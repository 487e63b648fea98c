"""What two variants answered to the same requests, as counts that add up.

The currency of prediction change is the `PairedSketch`: everything a verdict needs of any number of
pairs, mergeable in any order by any engine. Pure data: no I/O, no clock, no configuration.
Everything is imported from here. Source: nibai's drift.md, sections 3 and 7.
"""

from __future__ import annotations

from nibai.predictions.counts import MARGIN_BINS, MAX_WORST_PAIRS, Hits, Moments, Signal, WorstPair
from nibai.predictions.names import (
    BEYOND_TOLERANCE,
    CORRECT,
    COSINE,
    COSINE_DISTANCE,
    INVALID,
    JSD,
    JSON_VALID,
    KL,
    PROBABILITY_DIFFERENCE,
    RANK_OVERLAP,
    SAME_TOP,
    SCORE_DIFFERENCE,
    THRESHOLD_CROSSED,
    TOP_OVERLAP,
)
from nibai.predictions.records import EvidenceLevel, PredictionRecord
from nibai.predictions.samples import (
    CaptureGap,
    JoinReport,
    OutputRows,
    PredictionSample,
    SameInputs,
    UnpairedSample,
)
from nibai.predictions.sketch import NOTHING, PairedSketch, total

__all__ = [
    "BEYOND_TOLERANCE",
    "CORRECT",
    "COSINE",
    "COSINE_DISTANCE",
    "INVALID",
    "JSD",
    "JSON_VALID",
    "KL",
    "MARGIN_BINS",
    "MAX_WORST_PAIRS",
    "NOTHING",
    "PROBABILITY_DIFFERENCE",
    "RANK_OVERLAP",
    "SAME_TOP",
    "SCORE_DIFFERENCE",
    "THRESHOLD_CROSSED",
    "TOP_OVERLAP",
    "CaptureGap",
    "EvidenceLevel",
    "Hits",
    "JoinReport",
    "Moments",
    "OutputRows",
    "PairedSketch",
    "PredictionRecord",
    "PredictionSample",
    "SameInputs",
    "Signal",
    "UnpairedSample",
    "WorstPair",
    "total",
]
