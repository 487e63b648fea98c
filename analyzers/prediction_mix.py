"""Did the mix of answers move? The class whose share of the answers moved most."""

from __future__ import annotations

from collections.abc import Mapping

from analyzers.prediction_reading import Reading
from analyzers.prediction_wording import pp
from nibai.prediction_evidence import Bounds
from nibai.predictions import PairedSketch
from nibai.stats.discordant import Discordant
from nibai.stats.gates import GateTest, Limits

NAME = "output mix"


def mix_reading(pairs: PairedSketch, margin: float, alpha: float) -> Reading:
    """The class whose share of the answers moved most; every class has to stay within the margin.

    Over pairs a share moves by those who flipped to a class minus those who left it.
    """
    n, moves = pairs.pairs, _moves(pairs.confusion)
    each = {
        label: Limits(Discordant(n, won, lost), high=margin, low=-margin)
        for label, (won, lost) in (moves or {"": (0, 0)}).items()
    }
    worst = max(each, key=lambda label: abs(each[label].sequence.value))
    limits = each[worst]
    bounds = limits.sequence.interval(alpha)
    value = limits.sequence.value
    smallest = min(one.p_outside for one in each.values())
    return Reading(
        NAME,
        GateTest(max(one.p_inside for one in each.values()), min(len(each) * smallest, 1.0)),
        Bounds(value, *bounds),
        margin,
        n,
        f"the share of “{worst}” moved by {pp(value, bounds)}, the most of {len(each)} classes"
        if moves
        else f"no answer changed its class: {pp(value, bounds)}",
        f"{100 * margin:g}pp allowed",
        more=lambda inside, outside: limits.more_pairs(n, inside, outside / len(each)),
    )


def _moves(confusion: Mapping[tuple[str, str], int]) -> dict[str, tuple[int, int]]:
    """(flips to, flips from) of every class that any flip touched."""
    moves: dict[str, tuple[int, int]] = {}
    for (before, after), count in confusion.items():
        won, lost = moves.get(after, (0, 0))
        moves[after] = (won + count, lost)
        won, lost = moves.get(before, (0, 0))
        moves[before] = (won, lost + count)
    return moves
