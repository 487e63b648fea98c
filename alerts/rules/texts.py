"""Texts of alerts: Jinja2 in its sandbox; what comes from outside is a value, never a template."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from nibai.errors import UsageError

if TYPE_CHECKING:
    from jinja2 import Template as Compiled

LONGEST = 1000
"""Characters of a text; the sandbox does not bound what a template makes."""


def _compiles(text: str) -> str:
    from jinja2 import TemplateSyntaxError  # noqa: PLC0415 - 60 ms, only where rules are

    try:
        _compiled(text)
    except TemplateSyntaxError as error:
        raise ValueError(f"is no template: {error.message} (line {error.lineno})") from error
    return text


Template = Annotated[str, AfterValidator(_compiles)]
"""A text that compiles."""


def fill(template: str, values: Mapping[str, str]) -> str:
    """The text with its values; UsageError names what is not known.

    >>> fill("{{ endpoint }} lost", {"endpoint": "a/b/{{ 7 * 7 }}"})
    'a/b/{{ 7 * 7 }} lost'
    """
    from jinja2 import TemplateError  # noqa: PLC0415 - see above

    try:
        return " ".join(_compiled(template).render(values).split())[:LONGEST]
    except (TemplateError, TypeError, ValueError, ArithmeticError, OverflowError) as error:
        raise UsageError(f"the template {template[:80]!r} cannot be filled: {error}") from error


@functools.cache
def _compiled(text: str) -> Compiled:
    from jinja2 import StrictUndefined  # noqa: PLC0415 - see above
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415 - see above

    # Not HTML: every receiver escapes in its own language, templates and values alike.
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False).from_string(
        text
    )
