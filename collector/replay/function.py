"""A Python function as a variant: `python:module:function`, a list of inputs to a list of answers.

The function runs in nibai's own process, in several threads at a time (`--concurrency`).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from collector.replay.bodies import NO_ANSWER
from collector.replay.options import TargetOptions, validated
from nibai.errors import CollectError, UsageError
from nibai.protocols import Answer, ReplayInput, Target


class Options(TargetOptions):
    """A function has no options of its own."""


def build(options: Mapping[str, object]) -> Target:
    """The target of one function, imported now; `address` may be the function itself."""
    if callable(options.get("address")):
        return FunctionTarget(options["address"])  # type: ignore[arg-type] # narrowed by callable
    address = validated(Options, options).address
    module_name, separator, name = address.partition(":")
    if not separator:
        raise UsageError(f"python:{address}: write python:module:function")
    return FunctionTarget(_function(module_name, name))


class FunctionTarget:
    """Calls a function with the payloads of a batch."""

    def __init__(self, function: Callable[[list[object]], Sequence[object]]) -> None:
        self._function = function

    def send(self, inputs: Sequence[ReplayInput]) -> Sequence[Answer]:
        """One call; see `nibai.protocols.Target`."""
        try:
            answers = list(self._function([one.payload for one in inputs]))
        except Exception as error:
            raise CollectError(
                f"the function raised {type(error).__name__}: {error}", reason="exception"
            ) from error
        if len(answers) != len(inputs):
            return [Answer(invalid=NO_ANSWER)] * len(inputs)
        return [Answer(answer) for answer in answers]


def _function(module_name: str, name: str) -> Callable[[list[object]], Sequence[object]]:
    # A console script does not have the current folder on its path, where people keep a module.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"python:{module_name}:{name}: {error}: is the module installed or in this folder?"
        ) from error
    if not callable(found):
        raise UsageError(f"python:{module_name}:{name}: is no function")
    checked: Callable[[list[object]], Sequence[object]] = found
    return checked
