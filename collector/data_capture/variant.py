"""One variant that is read."""

from __future__ import annotations

from dataclasses import dataclass

from collector.data_capture.coverage import Captured
from collector.hourly.places import Place
from nibai.predictions import PredictionRecord


@dataclass(frozen=True, slots=True)
class Variant:
    """Where its captures lie, the record that its answers begin from, what shall be captured."""

    place: Place
    series: PredictionRecord
    captured: Captured
