"""One answer of one variant, and how two answers came to be compared; no payload."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EvidenceLevel(StrEnum):
    """How the two answers came to be compared; decides what a verdict may say."""

    SHADOW = "A"  # the same live request answered by both variants
    REPLAY = "B"  # captured inputs sent through both
    ADJUSTED = "C"  # before and after, adjusted for the inputs
    OUTPUTS_ONLY = "D"  # before and after, outputs alone


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """One answer of one variant; no payload.

    `request_id` and `input_hash` are "" where not known, `at` seconds since the epoch, `label` the
    class, or the digest of a text or JSON answer. `margin` is top-1 minus top-2 probability.
    `invalid` names the kind of invalid answer ("" for a valid one); its label is "". `batch` is how
    many inputs were answered together. `repeat` numbers answers of one variant to one request.
    """

    request_id: str
    input_hash: str
    at: float
    endpoint: str = ""
    variant: str = ""
    replica: str = ""
    segment: str = ""
    label: str = ""
    score: float | None = None
    margin: float | None = None
    probabilities: tuple[float, ...] = ()
    truth: str | None = None
    invalid: str = ""
    batch: int = 1
    source: str = ""
    repeat: int = 0

    @property
    def key(self) -> str:
        """What makes an input distinct: its hash, else the request's id."""
        return self.input_hash or self.request_id
