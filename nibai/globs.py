"""Patterns over names with parts, such as endpoints: one meaning in rules, silences and exports."""

from __future__ import annotations

import functools
import re


@functools.cache
def pattern_of(glob: str) -> str:
    """A glob as a regular expression (RE2 and Python alike): `*` ends at a `/`, `**` does not.

    >>> pattern_of("sagemaker/*/chat-*")
    'sagemaker/[^/]*/chat-[^/]*'
    >>> pattern_of("**"), pattern_of("*")
    ('.*', '.*')
    """
    if glob == "*":
        return ".*"  # alone it means all, and could match no endpoint otherwise
    parts = re.split(r"(\*\*|\*|\?)", glob)
    signs = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(signs.get(part, _literal(part)) for part in parts)


def matches(glob: str, name: str) -> bool:
    """Whether a name is meant by a glob.

    >>> matches("sagemaker/*/chat-*", "sagemaker/1.eu/chat-prod")
    True
    >>> matches("sagemaker/*", "sagemaker/1.eu/chat-prod")
    False
    """
    return re.fullmatch(pattern_of(glob), name, re.DOTALL) is not None


def _literal(text: str) -> str:
    # re.escape also escapes what RE2 takes literally and may refuse (such as "-" or "/").
    return re.sub(r"([\\.+(){}\[\]^$|])", r"\\\1", text)
