"""JSON as services speak it: bodies from templates, answers by path."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

INPUT, INPUTS = "$input", "$inputs"


def fill(template: object, inputs: Sequence[object]) -> object:
    """A template with `"$inputs"` as the list of inputs and `"$input"` as the only one.

    >>> fill({"instances": "$inputs", "top": 3}, [{"text": "a"}])
    {'instances': [{'text': 'a'}], 'top': 3}
    """
    if template == INPUTS:
        return list(inputs)
    if template == INPUT:
        return inputs[0]
    if isinstance(template, Mapping):
        return {key: fill(value, inputs) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, inputs) for value in template]
    return template


def holds(template: object, sign: str) -> bool:
    """Whether a template has this sign somewhere."""
    if isinstance(template, Mapping):
        return any(holds(value, sign) for value in template.values())
    if isinstance(template, list):
        return any(holds(value, sign) for value in template)
    return template == sign


def encode(value: object) -> bytes:
    """JSON as bytes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
