"""Yes or no about one answer: empty, caught in a loop, a refusal."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

MAX_PERIOD = 16
"""Tokens of the longest unit whose repetition is looked for."""

REPEATS = 4
"""A unit that stands this often in a row is a loop, …"""

MIN_LOOP_TOKENS = 16
"""… if all of it is this long."""

OPENING_CHARACTERS = 400
"""A refusal stands at the beginning of an answer."""

_CANNOT = r"(?:can(?:['’]?t|not| not)|won['’]?t|will not|(?:['’]m| am) (?:not able|unable) to)"
REFUSAL = re.compile(
    rf"\bi(?:['’]m| am) (?:(?:very|really|so) )?sorry,? (?:but )?i ?{_CANNOT}"
    rf"|\bi ?{_CANNOT} (?:help|assist|provide|comply|fulfil|create|answer|do that|support|engage"
    r"|discuss|share|write|generate|continue|process|complete)"
    r"|\bi(?:['’]m| am) (?:not able|unable) to\b"
    r"|\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b.{0,60}"
    r"\b(?:can(?:['’]?t|not)|unable|not able|don['’]?t)\b"
    r"|\bagainst my (?:guidelines|programming|polic)"
    r"|\btut mir leid, (?:aber )?(?:ich|das) kann\b|\bich kann (?:\w+ ){0,3}nicht (?:helfen|tun)"
    r"|\bje suis désolée?,? mais je ne\b|\bje ne (?:peux|suis) pas (?:en mesure|vous aider)"
    r"|\blo siento, (?:pero )?no puedo\b|\bno puedo (?:ayudar|proporcionar)"
    r"|申し訳(?:ありません|ございません)が|抱歉，我(?:不能|无法)|我(?:不能|无法)(?:提供|协助)",
    re.IGNORECASE | re.DOTALL,
)
"""How models decline in English, German, French, Spanish, Japanese and Chinese; a heuristic."""


def refuses(text: str, pattern: re.Pattern[str] = REFUSAL) -> bool:
    """Whether the answer opens as a refusal does.

    >>> refuses("I'm sorry, but I can't help with that."), refuses("I can't wait to help!")
    (True, False)
    """
    return pattern.search(text[:OPENING_CHARACTERS]) is not None


def loops(tokens: Sequence[str]) -> bool:
    """Whether a unit of up to 16 tokens stands four times in a row, 16 tokens in all or more.

    Units of punctuation alone (rules, tables) do not count.

    >>> loops(("I think that " * 20).split()), loops("one two three four".split())
    (True, False)
    """
    if len(tokens) < MIN_LOOP_TOKENS:
        return False
    numbers = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    ids = np.fromiter(map(numbers.__getitem__, tokens), dtype=np.int32, count=len(tokens))
    return any(_loops_with(tokens, ids, period) for period in range(1, MAX_PERIOD + 1))


def _loops_with(tokens: Sequence[str], ids: np.ndarray, period: int) -> bool:
    needed = max((REPEATS - 1) * period, MIN_LOOP_TOKENS - period)
    if len(ids) < needed + period:
        return False
    differs = ids[period:] != ids[:-period]
    breaks = np.flatnonzero(differs)
    if len(differs) - len(breaks) < needed:  # nearly every text ends here
        return False
    edges = np.concatenate(([-1], breaks, [len(ids) - period]))
    return any(
        any(any(map(str.isalnum, token)) for token in tokens[start : start + period])
        for start in (edges[:-1][np.diff(edges) > needed] + 1).tolist()
    )
