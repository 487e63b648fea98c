"""Selectors of series; names and labels that are no identifiers are quoted."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PLAIN_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PLAIN_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def selector(name: str, matchers: Iterable[tuple[str, str]] = (), more: str = "") -> str:
    r"""A selector of a metric by exact labels; names with dots or colons are safe.

    >>> selector("vllm:ttft.seconds", [("aws.sagemaker.endpoint.name", 'a"b')])
    '{"vllm:ttft.seconds","aws.sagemaker.endpoint.name"="a\\"b"}'
    >>> selector("latency_seconds", [("job", "x")], 'env="prod"')
    'latency_seconds{job="x",env="prod"}'
    """
    plain = _PLAIN_NAME.fullmatch(name) is not None
    parts = [] if plain else [_text(name)]
    parts += [f"{_label(label)}={_text(value)}" for label, value in matchers]
    parts += [more] if more else []
    return f"{name if plain else ''}{{{','.join(parts)}}}"


def _label(name: str) -> str:
    return name if _PLAIN_LABEL.fullmatch(name) else _text(name)


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
