"""Reading a rule file: every problem at once, with file and dotted key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from alerts.rules.ruleset import RuleSet, option_model
from nibai.config import SECRET_KEY, read_yaml
from nibai.errors import ConfigError

TAGS = ("claim", "prometheus")
"""Names that pydantic puts behind the number of a rule; they are no keys of the file."""


def load_rules(path: Path) -> RuleSet:
    """The rules of a file; ConfigError lists everything that is wrong with it."""
    document = read_yaml(path)
    problems = [*_option_problems(document)]
    try:
        rules = RuleSet.model_validate(document)
    except ValidationError as error:
        problems = [*said(error), *problems]
    if problems:
        raise ConfigError("\n".join(f"{path}: {problem}" for problem in problems))
    return rules


def _option_problems(document: Any) -> list[str]:  # noqa: ANN401 - whatever YAML holds
    """What is wrong with the options of notifiers that are known."""
    route = document.get("route")
    receivers = route.get("receivers") if isinstance(route, dict) else None
    lines: list[str] = []
    for name, ways in receivers.items() if isinstance(receivers, dict) else ():
        for at, way in enumerate(ways) if isinstance(ways, list) else ():
            for notifier, options in way.items() if isinstance(way, dict) else ():
                model = option_model(str(notifier))
                if model is None or not isinstance(options, dict):
                    continue
                try:
                    model.model_validate(options)
                except ValidationError as error:
                    lines += said(error, f"route.receivers.{name}[{at}].{notifier}")
    return lines


def said(error: ValidationError, under: str = "") -> list[str]:
    """Each problem of a file in a line: dotted key, fact and, where it is no secret, the value."""
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        key = _dotted((*([under] if under else []), *problem["loc"])) or "file"
        fact = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "invalid_key":
            fact += "; YAML reads on, yes and no as true and false"
        given = problem["input"]
        # An address may be a secret as a whole.
        secret = key.startswith("route.receivers") or SECRET_KEY.search(key)
        hidden = secret or isinstance(given, dict | list) or "secret" in fact
        shown = "" if hidden else f" (got {given!r})"
        lines.append(f"{key}: {fact[:1].lower()}{fact[1:]}{shown}")
    return lines


def _dotted(parts: tuple[str | int, ...]) -> str:
    text = ""
    for at, part in enumerate(parts):
        if isinstance(part, int):
            text += f"[{part}]"
        elif not (at and isinstance(parts[at - 1], int) and part in TAGS and "rules[" in text):
            text += f".{part}"
    return text.lstrip(".")
