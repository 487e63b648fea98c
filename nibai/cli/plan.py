"""`nibai plan`: how long a claim must be watched, before anything is changed."""

from __future__ import annotations

import math
import textwrap
import time
from typing import TYPE_CHECKING

import click

from nibai.cli import pairs_words
from nibai.cli.changes import KINDS
from nibai.cli.common import configuration, data_options
from nibai.cli.saying import say, say_document
from nibai.conventions import PRECISIONS
from nibai.errors import UsageError

if TYPE_CHECKING:
    from nibai.app.plan import Measured, PartPlan, Plan


@click.command("plan")
@click.option("--claim", multiple=True, metavar="SENTENCE", help="What will be promised; repeat.")
@click.option(
    "--rate", type=float, metavar="N", help="Requests a minute on each side (default: measured)."
)
@click.option("--effect", type=float, metavar="N", help="Expected true speed-up: 2.2 for 2.2x.")
@click.option("--deff", type=float, metavar="N", help="One request in N is independent.")
@click.option(
    "--log-spread", type=float, metavar="N", help="Standard deviation of log latencies: 0.5."
)
@click.option("--run-spread", type=float, metavar="N", help="How far runs are apart: 0.05 for 5 %.")
@click.option("--endpoint", metavar="NAME", help="Take rate and noise from this one in the lake.")
@click.option("--variant", metavar="NAME", help="With --endpoint: only this variant.")
@click.option(
    "--kind",
    multiple=True,
    type=click.Choice((*KINDS, *PRECISIONS)),
    help="What will change; repeat when several.",
)
@click.option(
    "--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True,
    help="How to print the plan.",
)  # fmt: skip
@data_options
def command(
    claim: tuple[str, ...],
    *,
    kind: tuple[str, ...],
    endpoint: str | None,
    variant: str | None,
    form: str,
    config_file: str | None,
    data: str | None,
    **given: float | None,
) -> int:
    """Say how long a claim must be watched, and from which assumptions.

    For each part: the window on each side that decides it with 80 % power, the fewest requests, the
    history that calibration needs, and how many runs would do instead. For claims about
    predictions: the margin of the kind of change, the pairs of answers, and what they cost.
    """
    from nibai.app.plan import Assumed, make_plan, plan_document  # noqa: PLC0415 - numpy
    from nibai.app.plan_pairs import change_of_kinds  # noqa: PLC0415 - same

    if not claim:
        raise UsageError("nothing to plan: give --claim, for example “2x faster at p50 and p99”")
    for name, value in given.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UsageError(f"--{name.replace('_', '-')} {value:g}: give a number above 0")
    assumed = Assumed(**given)
    measured = None
    if endpoint is not None:
        measured = _measured(endpoint, variant, claim, config_file, data)
    plan = make_plan(claim, assumed, measured, change_of_kinds(kind))
    if form == "json":
        say_document(plan_document(plan))
    else:
        say(text(plan), nl=False)
    return 0


def _measured(
    endpoint: str,
    variant: str | None,
    claims: tuple[str, ...],
    config: str | None,
    data: str | None,
) -> Measured:
    from nibai.app.audit import open_desk  # noqa: PLC0415 - duckdb, sqlalchemy
    from nibai.app.plan import measure  # noqa: PLC0415 - numpy

    with open_desk(configuration(config, data), time.time) as desk:
        return measure(desk.engine(), endpoint, variant, claims)


# -- text -------------------------------------------------------------------------------------


def text(plan: Plan) -> str:
    """The plan as people read it."""
    lines = []
    if plan.rate is not None:
        lines += [f"{plan.rate:,.4g} requests a minute on each side", ""]
    for part in plan.parts:
        said = pairs_words.lines(part.pairs) if part.pairs else _part(part, plan.rate or 0.0)
        found = [_wrapped(line, "  ", " " * 12) for line in said]
        lines += [part.claim, *found, ""]
    longest = [part.window.hours for part in plan.parts if part.window is not None]
    if len(plan.parts) > 1 and len(longest) == len(plan.parts):
        lines += [f"everything: {_duration(max(longest))} on each side", ""]
    assumed = [_wrapped(line, "  ", "    ") for line in plan.assumptions]
    return "\n".join([*lines, "assumed:", *assumed]) + "\n"


def _part(part: PartPlan, rate: float) -> list[str]:
    lines = []
    if part.window is None:
        lines.append(f"watch     {part.reason}")
    else:
        width = 100 * (2**part.window.half_width - 1)
        lines.append(
            f"watch     {_duration(part.window.hours)} on each side: ±{width:.1f} % then, "
            f"{_gap(part)}"
        )
    if part.requests is not None and part.floor is not None:
        minutes = _duration(part.requests / rate / 60)
        lines.append(
            f"requests  at least {part.requests:,} on each side ({minutes}); "
            f"never judged below {part.floor:,}"
        )
    if part.window is not None and part.history is not None:
        lines.append(f"history   {_history(part)}")
    if part.needed is not None and part.requests is not None:
        runs = "more than 1,000" if part.runs is None else f"{part.runs}"
        lines.append(f"or runs   {runs} on each side")
    return lines


def _gap(part: PartPlan) -> str:
    assert part.expected is not None  # noqa: S101 - for the type checker
    assert part.needed is not None  # noqa: S101 - same
    gap = part.expected / part.needed - 1
    side = "above" if gap > 0 else "below"
    needed = f"{100 * abs(gap):.1f} % {side} the {part.needed:.4g}x needed"
    return f"{part.expected:.4g}x expected is {needed}"


def _history(part: PartPlan) -> str:
    assert part.window is not None  # noqa: S101 - for the type checker
    assert part.history is not None  # noqa: S101 - same
    days, full = part.history.days, part.history.days_full_power
    if days is None:
        return "none reaches: verdicts come without a measured A/A rate"
    need = "needed" if part.window.calibrated else "for a measured A/A rate"
    text = f"{_days(days)} unchanged before the change {need}"
    return text if full is None else f"{text}, {_days(full)} for full power"


def _wrapped(line: str, first: str, then: str) -> str:
    return textwrap.fill(line, 100, initial_indent=first, subsequent_indent=then)


def _days(days: int) -> str:
    return f"{days} day" if days == 1 else f"{days} days"


def _duration(hours: float) -> str:
    """Hours as people say them.

    >>> _duration(0.1), _duration(3), _duration(48)
    ('6 min', '3 h', '2 days')
    """
    if hours < 1:
        return f"{max(math.ceil(60 * hours), 1)} min"
    if hours < 48:  # noqa: PLR2004 - a day and a half is clearer in hours
        return f"{hours:.3g} h"
    return f"{hours / 24:.3g} days"
