"""From what the user calls a variant to the plug-in that sends to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nibai import plugins
from nibai.errors import PluginError, UsageError
from nibai.protocols import Target

GROUP = "nibai.targets"


@dataclass(frozen=True, slots=True)
class Described:
    """A variant as it was given: a name to print, the kind of its target, its options."""

    name: str
    kind: str
    options: Mapping[str, Any]

    @property
    def identity(self) -> str:
        """What tells it from another one; the values of secrets are not part of it."""
        known = {key: value for key, value in self.options.items() if not callable(value)}
        return f"{self.name} #{short_digest(known)}"


def describe(given: Any, role: str) -> Described:  # noqa: ANN401 - address, mapping or function
    """An address (`https://…`, `KIND:ADDRESS`), a mapping with `address` and options, a function.

    >>> describe("sagemaker:chat/int8", "candidate").kind
    'sagemaker'
    """
    if callable(given):
        name = f"{getattr(given, '__module__', '?')}:{getattr(given, '__qualname__', '?')}"
        return Described(f"python:{name}", "python", {"address": given})
    options = dict(given) if isinstance(given, Mapping) else {"address": given}
    address = options.get("address")
    kind, separator, rest = str(address).partition(":")
    if not separator or not isinstance(address, str):
        raise UsageError(
            f"--{role} {address}: is no target: give an address (https://…) or KIND:ADDRESS; "
            f"kinds: {', '.join(kinds())}"
        )
    # A query may hold a key: it is never printed.
    name = address.partition("?")[0]
    if "@" in name:
        name = f"{kind}:…@{name.rpartition('@')[2]}"
    if kind in {"http", "https"}:
        return Described(name, "http", options)
    return Described(name, kind, options | {"address": rest})


def make_target(
    described: Described, role: str, batch: int, shared: Mapping[str, object]
) -> Target:
    """The target of a variant; its own options win over the shared ones."""
    if described.kind not in kinds():
        raise UsageError(
            f"--{role} {described.name}: no target is called {described.kind!r}: give an address "
            f"(https://…) or KIND:ADDRESS; kinds: {', '.join(kinds())}"
        )
    options = {"batch": batch, **shared, **described.options}
    target = plugins.load(GROUP, described.kind, options)
    if not isinstance(target, Target):
        raise PluginError(f"plug-in {described.kind!r} in {GROUP} has no send method")
    return target


def kinds() -> list[str]:
    """Names of the installed kinds of targets."""
    return [entry.name for entry in plugins.registered(GROUP)]


def short_digest(options: Mapping[str, object]) -> str:
    """A few letters that change with the options."""
    text = json.dumps(options, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
