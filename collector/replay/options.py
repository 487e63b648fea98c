"""Options of a target, validated with every problem at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nibai.config import SECRET_KEY
from nibai.errors import UsageError


class TargetOptions(BaseModel):
    """What every target is told: its address and how many inputs a request has at most."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str
    batch: int = Field(default=1, ge=1)


_Options = TypeVar("_Options", bound=TargetOptions)


def validated(model: type[_Options], options: Mapping[str, object]) -> _Options:
    """The options as a model; UsageError lists every problem, without the values of secrets."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False, include_context=False):
            key = ".".join(str(part) for part in problem["loc"])
            fact = problem["msg"].removeprefix("Value error, ")
            hidden = "secret" in fact or SECRET_KEY.search(key)
            shown = "" if hidden else f" (got {problem['input']!r})"
            lines.append(f"target option {key}: {fact[:1].lower()}{fact[1:]}{shown}")
        raise UsageError("\n".join(lines)) from error
