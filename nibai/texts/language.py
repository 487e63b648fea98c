"""A cheap guess of the language: by script, and by function words where letters are Latin.

Good enough to see that answers slip into another language, which quantized models do; a text too
short or too mixed for a guess has none, and is left out rather than guessed.
"""

from __future__ import annotations

import re
from collections import Counter

READ_CHARACTERS = 2_000
MIN_LETTERS = 8
MIN_WORDS = 3
LEAD = 2
"""The best language needs this many times the function words of the next one."""

_SCRIPTS = {
    name: re.compile(f"[{characters}]")
    for name, characters in {
        "latin": "A-Za-z\u00c0-\u024f",
        "kana": "\u3040-\u30ff",
        "zh": "\u3400-\u4dbf\u4e00-\u9fff",
        "ko": "\uac00-\ud7af\u1100-\u11ff",
        "cyrillic": "\u0400-\u04ff",
        "greek": "\u0370-\u03ff",
        "arabic": "\u0600-\u06ff",
        "hebrew": "\u0590-\u05ff",
        "devanagari": "\u0900-\u097f",
        "thai": "\u0e00-\u0e7f",
    }.items()
}

# Words that stand in one list only, or they would tell nothing.
_FUNCTION_WORDS = {
    word: language
    for language, words in {
        "en": "the and of to that it for with are this was you not have be which from can",
        "de": "der das und ist nicht ein eine zu den mit auf für von dem sich auch wird durch",
        "fr": "le les et est des une dans pour pas qui sur au ce du il sont avec vous",
        "es": "el los las y es una por para del se lo como pero más está son su",
        "it": "il di che è per un non della sono gli questo alla dei nel più anche",
        "pt": "o os as é uma não em do da com um mais foi são ao você",
        "nl": "het een van dat niet op te met voor zijn er aan wordt deze ook naar",
    }.items()
    for word in words.split()
}
_WORD = re.compile(r"[^\W\d_]+")
_KANA_SHARE = 0.1
_MAJORITY = 0.6


def language(text: str) -> str:
    """A code ("en", "zh", "cyrillic" …), or "" without a guess.

    >>> language("The answer is that it depends on the weather."), language("二倍になりました。")
    ('en', 'ja')
    >>> language("42")
    ''
    """
    text = text[:READ_CHARACTERS]
    script = "latin" if text.isascii() else _script(text)
    return _by_words(text) if script == "latin" else script


def _script(text: str) -> str:
    letters = Counter({name: len(found.findall(text)) for name, found in _SCRIPTS.items()})
    eastern = letters["kana"] + letters["zh"]
    # Japanese mixes both; Chinese has no kana.
    letters["ja" if letters["kana"] > _KANA_SHARE * eastern else "zh"] = eastern
    del letters["kana"]
    if letters["ja"]:
        del letters["zh"]
    name, most = letters.most_common(1)[0]
    return name if most >= MIN_LETTERS and most > _MAJORITY * letters.total() else ""


def _by_words(text: str) -> str:
    hits = Counter(
        _FUNCTION_WORDS[word] for word in _WORD.findall(text.lower()) if word in _FUNCTION_WORDS
    )
    ranked = hits.most_common(2)
    if not ranked or ranked[0][1] < MIN_WORDS:
        return ""
    second = ranked[1][1] if len(ranked) > 1 else 0
    return ranked[0][0] if ranked[0][1] >= LEAD * second else ""
