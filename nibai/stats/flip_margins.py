"""How much predictions may change by kind of change, and the pairs it takes to see it.

The margins are proposals (priors: Kurtic et al. 2024, arXiv 2411.02355), shown as such and made the
user's own by declaring the change before its data are read. Source: nibai's drift.md, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nibai.conventions import PRECISION
from nibai.model import Change, ChangeKind, Claim
from nibai.prediction_evidence import PairsNeeded
from nibai.stats.paired import pairs_to_decide

GATES = 4
"""Excess flips, self-flip, accuracy, invalid outputs."""

ALPHA = 0.05

FLOOR_PAIRS = 300
"""Fewer pairs are never judged."""

CALLS_PER_INPUT = 4
"""Both variants, twice each: without repeats there is no noise floor."""


@dataclass(frozen=True, slots=True)
class KindMargins:
    """What one kind of change may do: shares, mean KL in nats, and the pairs that are wanted.

    `source` says which kind (or the user's word) they come from. None: this kind has no default,
    so nothing is judged by it.
    """

    flips: float
    accuracy: float | None = None
    kl: float | None = None
    pairs: int | None = None
    source: str = ""


STATED = "stated"

TEXT_MISMATCH = 0.005
"""Texts that may differ, beyond the noise floor, under speculative decoding at temperature 0."""

EXACT = KindMargins(0.001, 0.002, 1e-4, 10_000)
NEAR = KindMargins(0.005, 0.005, 1e-3, 5_000)
COARSE = KindMargins(0.02, 0.01, 1e-2, 3_000)
LOSSY = KindMargins(0.05, 0.02, 5e-2, 3_000)

BY_PRECISION: Mapping[str, KindMargins] = {
    "fp16": NEAR,
    "bf16": NEAR,
    "fp8": COARSE,
    "int8": COARSE,
    "int4": LOSSY,
}

BY_KIND: Mapping[ChangeKind, KindMargins] = {
    ChangeKind.INSTANCE_TYPE: EXACT,
    ChangeKind.CAPACITY: EXACT,
    ChangeKind.CONTAINER: EXACT,
    ChangeKind.DRIVER: EXACT,
    ChangeKind.MIG: EXACT,
    ChangeKind.ROUTING: EXACT,
    ChangeKind.ENV: EXACT,
    ChangeKind.SERVERLESS_MEMORY: EXACT,
    ChangeKind.COMPILATION: NEAR,
    ChangeKind.PRECISION: NEAR,  # of unknown type: the strictest
    ChangeKind.DISTILLATION: LOSSY,
    ChangeKind.PRUNING: LOSSY,
    ChangeKind.SPECULATIVE_DECODING: EXACT,
}
"""Weights and adapters are missing: other weights are meant to answer differently."""


def default_margins(change: Change) -> KindMargins | None:
    """The strictest of the change's kinds; None where the user has to state one.

    >>> change = Change("c", "e", (ChangeKind.PRECISION,), evidence={"precision": "int8"})
    >>> default_margins(change).flips, default_margins(change).source
    (0.02, 'default for precision int8')
    """
    found = {_name(kind, change): _of(kind, change) for kind in change.kinds}
    known = {name: margins for name, margins in found.items() if margins is not None}
    if not known or len(known) < len(found):
        return None
    name = min(known, key=lambda name: known[name].flips)
    strictest = known[name]
    source = f"default for {name}"
    if len(known) > 1:
        source = f"default for the strictest of {', '.join(known)}"
    return replace(strictest, source=source)


def margins_of(change: Change, claim: Claim) -> KindMargins | None:
    """The margins a prediction claim is judged with: its own word, else the kind's default.

    A stated margin sets the flips alone; what else the kind allows stays its default.
    """
    default = default_margins(change)
    if claim.margin_assumed and not claim.margin:
        return default
    rest = default or KindMargins(claim.margin)
    return replace(rest, flips=claim.margin, source=STATED)


def of_texts(change: Change, margins: KindMargins) -> KindMargins:
    """The margins where answers are texts: one token of hundreds suffices to make them differ.

    Only speculative decoding is held to another default: it must be exact, token by token.
    """
    speculative = set(change.kinds) == {ChangeKind.SPECULATIVE_DECODING}
    if not speculative or margins.source == STATED:
        return margins
    return replace(margins, flips=TEXT_MISMATCH, source=f"{margins.source} of texts")


def pairs_table(
    margin: float, *, gates: int = GATES, alpha: float = ALPHA
) -> tuple[PairsNeeded, ...]:
    """Pairs with which the flip gate decides at rates of 0, 1/4, 1/2 and 2 margins (floor 0).

    >>> [row.pairs for row in pairs_table(0.02)]
    [357, 895, 2511, 1111]
    """
    rows = []
    for share, confirms in ((0.0, True), (0.25, True), (0.5, True), (2.0, False)):
        # A measured floor halves alpha; refuting pays for all gates.
        level = alpha / 2 if confirms else alpha / 2 / gates
        pairs = pairs_to_decide(share * margin, margin, level)
        if pairs is not None:
            rows.append(PairsNeeded(share, max(pairs, FLOOR_PAIRS), confirms))
    return tuple(rows)


def _of(kind: ChangeKind, change: Change) -> KindMargins | None:
    if kind is ChangeKind.PRECISION:
        return BY_PRECISION.get(change.evidence.get(PRECISION, ""), BY_KIND[kind])
    return BY_KIND.get(kind)


def _name(kind: ChangeKind, change: Change) -> str:
    if kind is not ChangeKind.PRECISION:
        return kind.value
    return f"precision {change.evidence.get(PRECISION) or 'of unknown type'}"


def kinds_text(kinds: Sequence[ChangeKind]) -> str:
    """Kinds as people list them, "unknown" for none."""
    return ", ".join(kind.value for kind in kinds) or "unknown"
