"""How far apart two texts are: edits of words, and chrF of characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

from nibai.texts.tokens import shared_prefix

MAX_EDIT_TOKENS = 512
"""Tokens of each side that are aligned, after what both begin and end with."""

MAX_CHRF_CHARACTERS = 4_000
"""Characters of each side, white space left out, that chrF reads."""

CHRF_ORDER = 6
CHRF_BETA = 2.0


def edit_distance(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """Insertions, deletions and substitutions that turn one sequence into the other.

    Exact, in len(other) steps on integers of len(one) bits.
    Source: Myers 1999, in the form of Hyyrö 2003.

    >>> edit_distance("kitten", "sitting")
    3
    """
    if not one:
        return len(other)
    places: dict[Hashable, int] = {}
    for index, item in enumerate(one):
        places[item] = places.get(item, 0) | 1 << index
    all_bits, last = (1 << len(one)) - 1, 1 << (len(one) - 1)
    up, down, distance = all_bits, 0, len(one)
    for item in other:
        same = places.get(item, 0)
        diagonal = (((same & up) + up) ^ up) | same | down
        plus, minus = down | (all_bits & ~(diagonal | up)), up & diagonal
        distance += bool(plus & last) - bool(minus & last)
        plus, minus = plus << 1 | 1, minus << 1
        up = (minus | ~(diagonal | plus)) & all_bits
        down = plus & diagonal & all_bits
    return distance


def token_distance(one: Sequence[str], other: Sequence[str]) -> float:
    """Edits per token of the longer text, from 0 (the same) to 1.

    Of very different long texts only the first `MAX_EDIT_TOKENS` after the common beginning count.

    >>> token_distance(["the", "cat", "sat", "down"], ["the", "dog", "sat", "down"])
    0.25
    """
    start = shared_prefix(one, other)
    one, other = one[start:], other[start:]
    end = shared_prefix(one[::-1], other[::-1])
    one, other = one[: len(one) - end], other[: len(other) - end]
    one, other = one[:MAX_EDIT_TOKENS], other[:MAX_EDIT_TOKENS]
    longer = start + end + max(len(one), len(other))
    return edit_distance(one, other) / longer if longer else 0.0


def chrf(old: str, new: str) -> float:
    """Character n-gram F-score of the new text against the old one, from 0 to 1 (the same).

    Orders 1 to 6, beta 2, white space left out; orders longer than a text are left out.
    Source: Popović 2015 (chrF), precision and recall averaged over orders as sacreBLEU does.

    >>> round(chrf("the cat sat on the mat", "the cat sat on a mat"), 3)
    0.66
    """
    old, new = ("".join(text.split())[:MAX_CHRF_CHARACTERS] for text in (old, new))
    if not old or not new:
        return float(old == new)
    precision = recall = 0.0
    orders = min(CHRF_ORDER, len(old), len(new))
    for order in range(1, orders + 1):
        grams = [_grams(text, order) for text in (old, new)]
        shared = (grams[0] & grams[1]).total()
        recall += shared / grams[0].total() / orders
        precision += shared / grams[1].total() / orders
    weighted = CHRF_BETA**2 * precision + recall
    return (1 + CHRF_BETA**2) * precision * recall / weighted if weighted else 0.0


def _grams(text: str, order: int) -> Counter[str]:
    return Counter(text[start : start + order] for start in range(len(text) - order + 1))
