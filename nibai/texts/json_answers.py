"""Answers that ought to be JSON: do they parse, and do two say the same?

Strict, as the program that reads the answer is: a code fence around it or NaN in it is not JSON.
"""

from __future__ import annotations

import json
import re
from typing import NoReturn

NOT_JSON = object()
"""What a text that does not parse is parsed as."""

MAX_NESTING = 100
"""Deeper answers count as not JSON: programs that read them refuse them too."""

_MAX_DIGITS = 400  # Python refuses to read longer integers; as a double they are infinite anyway


# A string without its end runs to the end of the text: the search stays linear.
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def parsed(text: str) -> object:
    """The value of a JSON text, or `NOT_JSON`.

    >>> parsed('{"a": [1, 2]}'), parsed("{'a': 1}") is NOT_JSON, parsed("NaN") is NOT_JSON
    ({'a': [1, 2]}, True, True)
    """
    if text.count("[") + text.count("{") > MAX_NESTING and _nesting(text) > MAX_NESTING:
        return NOT_JSON
    try:
        value: object = json.loads(text, parse_constant=_no_constant, parse_int=_integer)
    except (ValueError, RecursionError):
        return NOT_JSON
    return value


def canonical(value: object) -> str:
    """One text per value: keys sorted, no white space, 1.0 as 1.

    >>> canonical({"b": [True, 1.0], "a": "é"})
    '{"a":"é","b":[true,1]}'
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _nesting(text: str) -> int:
    """The deepest nesting, brackets inside strings left out."""
    depth = deepest = 0
    for mark in _BRACKET.findall(text):
        depth += (mark in "[{") - (mark in "]}")
        deepest = max(deepest, depth)
    return deepest


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
