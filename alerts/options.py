"""What a receiver is built from: its options, checked, and its surroundings."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import AfterValidator, ValidationError

from nibai.config import Section, environment, resolve_secret
from nibai.errors import ConfigError
from nibai.protocols import Surroundings

Model = TypeVar("Model", bound=Section)


def _address(text: str) -> str:
    if not text.startswith(("https://", "http://", "env:", "file:")):
        raise ValueError("an address begins with https://, http://, env: or file:")
    return text


Url = Annotated[str, AfterValidator(_address)]
"""An address, or a reference to one that is a secret itself."""


def read(model: type[Model], options: Mapping[str, object]) -> tuple[Model, Surroundings]:
    """The options as a model, and what is around; ConfigError says what is wrong with them."""
    given = dict(options)
    around = given.pop("surroundings", None)
    if not isinstance(around, Surroundings):
        around = Surroundings(environment(), lambda _audit: None, time.time)
    try:
        return model.model_validate(given), around
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in one['loc']) or 'options'}: {one['msg']}"
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise ConfigError(f"{model.__module__}: " + "; ".join(lines)) from None


def secret(reference: str, around: Surroundings) -> str:
    """What a reference stands for; a text that is none stands for itself."""
    if not reference.startswith(("env:", "file:")):
        return reference
    return resolve_secret(reference, around.environment)
