"""The options that say what both sides cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from nibai.errors import UsageError

if TYPE_CHECKING:
    from nibai.model import SideCost


def cost_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--cost-per-hour and --instances."""
    command = click.option(
        "--instances",
        metavar="BASE,CAND",
        help="Instances of both sides; without it, replicas are counted.",
    )(command)
    return click.option(
        "--cost-per-hour",
        metavar="BASE,CAND",
        help='USD per hour of one instance of both sides, for claims such as "2x cheaper".',
    )(command)


def costs_of(given: dict[str, object]) -> tuple[SideCost, SideCost] | None:
    """What the options say, None when they say nothing."""
    from nibai.model import SideCost as Found  # noqa: PLC0415 - imports numpy

    prices = _both(given["cost_per_hour"], "--cost-per-hour", "4.10,1.006")
    counts = _both(given["instances"], "--instances", "4,2")
    if prices is None and counts is None:
        return None
    source = "price as stated" if prices is not None else ""
    b, c = prices or (None, None)
    m, n = counts or (None, None)
    return Found(b, m, source), Found(c, n, source)


def _both(given: object, option: str, example: str) -> tuple[float, float] | None:
    """Two positive numbers with a comma between.

    >>> _both("4.1, 2", "--instances", "4,2")
    (4.1, 2.0)
    """
    if given is None:
        return None
    try:
        found = [float(part) for part in str(given).split(",")]
    except ValueError:
        found = []
    if len(found) != 2 or not all(math.isfinite(one) and one > 0 for one in found):  # noqa: PLR2004 - two sides
        raise UsageError(
            f"{option} {str(given)!r}: give two numbers above 0, baseline first, such as {example}"
        )
    return found[0], found[1]
