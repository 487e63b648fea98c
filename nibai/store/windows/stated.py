"""What a change itself says of its sides and its measurement."""

from __future__ import annotations

from nibai.errors import UsageError
from nibai.model import Change, Reason, ReasonCode


def declared_flaw(change: Change) -> Reason | None:
    """A flaw of the measurement that was declared with the change."""
    text = change.evidence.get("setup_defect")
    return Reason(ReasonCode.SETUP_DEFECT, f"the measurement is flawed: {text}") if text else None


def labels(change: Change, otherwise: tuple[str, str]) -> tuple[str, str]:
    """What the sides are called: by their variants, as far as there are any."""
    return change.baseline_variant or otherwise[0], change.candidate_variant or otherwise[1]


def require_sides(change: Change) -> None:
    """UsageError when a change does not say what to compare."""
    if change.effective_at is None and change.baseline_variant is None:
        if change.baseline_window is not None:
            return
        raise UsageError(
            f"change {change.id}: nothing says what to compare: declare --at TIME, two variants, "
            "or two windows (--baseline START/END --candidate START/END)"
        )
