"""Paths into JSON documents."""

from __future__ import annotations

import re

MISSING = object()
STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


def find(document: object, path: str) -> object:
    """What a path such as `$.outputs[0].label` leads to; MISSING when nothing is there.

    >>> find({"outputs": [{"label": "spam"}]}, "outputs[0].label")
    'spam'
    """
    found = document
    for name, position in STEP.findall(path.removeprefix("$")):
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and (position or name).isdigit():
            index = int(position or name)
            if index >= len(found):
                return MISSING
            found = found[index]
        else:
            return MISSING
    return found
