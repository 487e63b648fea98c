"""A figure of AWS's own as a claim to verify."""

from __future__ import annotations

from dataclasses import dataclass

from nibai.claims import parse
from nibai.errors import UsageError
from nibai.model import Sentence

WORTH = 1.01
"""A ratio below is no promise."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A ratio that AWS measured of a change: old to new of what shall shrink; 0: no ratio.

    `promise` is the claim's form with the ratio to fill in; `said` names the job and the figures.
    """

    promise: str
    ratio: float
    said: str

    @property
    def sentence(self) -> Sentence | None:
        """The claim, None when the figure promises nothing."""
        if self.ratio < WORTH:
            return None
        try:
            return parse(self.promise.format(f"{self.ratio:.3g}"))
        except UsageError:
            return None
