"""Words of a text, and where two texts part.

The tokenizer of the model is not known here, so a token is a word, a Chinese or Japanese character
or a punctuation mark. Thai and other scripts without spaces make long words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_CHARACTERS = 100_000
"""What is read of a text beyond the exact comparison, which always reads all of it."""

_LONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"  # kana and Chinese characters: one word each
_TOKEN = re.compile(rf"[{_LONE}]|[^\W{_LONE}]+|[^\w\s]")


def squeezed(text: str) -> str:
    r"""The text with every run of white space as one space and none at the ends.

    >>> squeezed("  yes,\n\tof course ")
    'yes, of course'
    """
    return " ".join(text.split())


def tokens(text: str) -> list[str]:
    """Words, lone characters and punctuation of the first `MAX_CHARACTERS`.

    >>> tokens("It's 42!"), tokens("二倍です")
    (['It', "'", 's', '42', '!'], ['二', '倍', 'で', 'す'])
    """
    return _TOKEN.findall(text[:MAX_CHARACTERS])


def shared_prefix(one: Sequence[str], other: Sequence[str]) -> int:
    """How many tokens both begin with: the position of the first that differs.

    >>> shared_prefix(tokens("the cat sat"), tokens("the cat ran"))
    2
    """
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
