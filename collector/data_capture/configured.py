"""From the section `data_capture` to what is read and what is made of it."""

from __future__ import annotations

from collector.cloudwatch.series import COMPONENT
from collector.data_capture.answers import Extraction
from collector.data_capture.coverage import Captured
from collector.data_capture.variant import Variant
from collector.hourly.places import Place
from collector.redact import redaction
from nibai.config import DataCapture
from nibai.outputs import OutputKind, OutputSpec
from nibai.predictions import PredictionRecord

SHADOW = "shadow"


def variants(chosen: DataCapture) -> list[Variant]:
    """Production variants first, then their shadows."""
    endpoint = f"sagemaker/{chosen.account}.{chosen.region}/{chosen.endpoint}"
    share = chosen.sampling_percentage / 100
    named = [(name, "") for name in chosen.variants] + [(name, SHADOW) for name in chosen.shadow]
    return [
        Variant(
            Place.of(chosen.destination, chosen.endpoint, folder_of(chosen, name)),
            PredictionRecord("", "", 0.0, endpoint, name, source=source),
            Captured(endpoint, chosen.endpoint, name, share),
        )
        for name, source in named
    ]


def folder_of(chosen: DataCapture, name: str) -> str:
    """Where captures of a variant lie below the endpoint's folder.

    Of inference components no document says it: their own name is taken where nothing is given.
    """
    return chosen.folders.get(name, name.removeprefix(COMPONENT)).strip("/")


def extraction(chosen: DataCapture) -> Extraction:
    """How answers, segments and digests are made; ConfigError for a key that is not there."""
    answer = chosen.answer
    return Extraction(
        OutputSpec(
            OutputKind(answer.kind),
            answer.path,
            answer.column,
            answer.labels,
            decision_threshold=answer.threshold,
        ),
        answers=answer.list,
        inputs=chosen.input.list,
        segments=chosen.input.segments,
        redaction=redaction(chosen.redact),
    )
