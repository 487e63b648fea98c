"""`nibai replay`: captured inputs through both variants."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nibai.cli import output
from nibai.cli.common import answer_options
from nibai.cli.replay_words import compare_command, found_text, plan_text
from nibai.cli.saying import say
from nibai.errors import UsageError

if TYPE_CHECKING:
    from nibai.app.replay_request import Plan, Replayed
    from nibai.replaying.run import Progress

RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h)")
PER_SECOND = {"s": 1.0, "m": 60.0, "h": 3600.0}
NOT_IN_SPEC = frozenset({"spec", "option", "yes", "dry_run"})
"""A file must not agree to what it says itself."""

STEPS = 10
"""Lines of progress where there is no terminal."""


def _read_spec(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    """Take what the file says as the defaults of this command line."""
    if value is None:
        return
    from nibai.config import read_yaml  # noqa: PLC0415 - pydantic

    document = {str(key).replace("-", "_"): found for key, found in read_yaml(Path(value)).items()}
    known = {parameter.name for parameter in context.command.params} - NOT_IN_SPEC
    unknown = sorted(set(document) - known - {"options"})
    if unknown:
        names = sorted(str(name).replace("_", "-") for name in known | {"options"})
        raise UsageError(
            f"{value}: {unknown[0]}: there is no such option; there are {', '.join(names)}"
        )
    document["option"] = _words(document.pop("options", {}), json.dumps)
    document["columns"] = _words(document.get("columns", {}), str)
    context.default_map = document


def _words(given: object, write: Callable[[Any], str]) -> list[str]:
    if not isinstance(given, dict):
        raise UsageError("options and columns of a spec are names and values")
    return [f"{name}={write(value)}" for name, value in given.items()]


@click.command("replay")
@click.option(
    "--spec",
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    callback=_read_spec,
    help="Options in a YAML file; what is given here wins.",
)
@click.option(
    "--inputs", required=True, metavar="FILE", help='Captured requests: a file, folder, glob, "-".'
)
@click.option(
    "--baseline", type=click.UNPROCESSED, required=True, metavar="TARGET", help="The old variant."
)
@click.option(
    "--candidate", type=click.UNPROCESSED, required=True, metavar="TARGET", help="The new variant."
)
@click.option(
    "-o", "--option", multiple=True, metavar="NAME=VALUE", help="Option of both targets; repeat."
)
@click.option(
    "--columns", multiple=True, metavar="ROLE=COL", help="Where id, input, segment, label are."
)
@click.option(
    "--output",
    metavar="KIND[:PATH]",
    help="What an answer is: class, proba, score, regression, embedding, ranking, text, json, "
    "chat (default: chat of openai:, else class).",
)
@answer_options
@click.option("--keep-texts", is_flag=True, help="Write texts themselves, not their digests.")
@click.option("--sample", type=click.IntRange(1), metavar="N", help="At most N inputs, at random.")
@click.option("--repeated", is_flag=True, help="Send inputs that occur again, again.")
@click.option(
    "--repeats",
    type=click.IntRange(2, 100),
    default=2,
    show_default=True,
    help="Answers of each variant to an input.",
)
@click.option(
    "--batch", type=click.IntRange(1), default=1, show_default=True, help="Inputs a request."
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    default=4,
    show_default=True,
    help="Requests at a time.",
)
@click.option(
    "--rate",
    default="10/s",
    show_default=True,
    metavar="N/s|m|h|none",
    help="Most requests, both variants together.",
)
@click.option(
    "--budget",
    type=click.IntRange(1),
    metavar="N",
    help="Most requests in all, retries included (default: the plan and 10 %).",
)
@click.option("--price", type=float, metavar="USD", help="What a request costs.")
@click.option("--budget-usd", type=float, metavar="USD", help="Most money in all.")
@click.option(
    "--retries",
    type=click.IntRange(0, 20),
    default=4,
    show_default=True,
    help="Further tries of a request that failed.",
)
@click.option(
    "--give-up-after",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    metavar="N",
    help="Stop after N requests in a row without a valid answer; 0: never.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Order, groups, sample.")
@click.option(
    "--out", required=True, metavar="DIR", help="Journal and pairs; the same DIR goes on."
)
@click.option(
    "--claim",
    multiple=True,
    metavar="SENTENCE",
    help='Judge this at the end, such as "same predictions within 2%"; repeat.',
)
@click.option(
    "--kind", multiple=True, metavar="KIND", help="What was changed: gives the margin (int8 …)."
)
@click.option("--dry-run", is_flag=True, help="Print the plan, send nothing.")
@click.option("--yes", is_flag=True, help="Send without asking.")
@output.audit_options
def command(*, dry_run: bool, yes: bool, **given: Any) -> int:  # noqa: ANN401 - click's values
    """Did the answers change? Send captured inputs through both variants.

    Every input goes to both variants, --repeats times, each time beside other batch-mates: old
    against new, and each variant against itself. TARGET is https://… or KIND:ADDRESS.

    \b
      nibai replay --inputs captured.jsonl --baseline http://old/predict
             --candidate http://new/predict --output class:label --out replay

    A replay that was stopped or killed goes on with the same command; no input is sent twice.
    With --claim the exit code is the verdict's.
    """  # noqa: D301 - click's mark for lines to keep
    from nibai.app.replay import Replay  # noqa: PLC0415 - pyarrow

    tell = _speaker(given)
    replay = Replay(_request(given))
    try:
        plan = replay.plan
        tell(plan_text(plan))
        if dry_run:
            return 0
        _agree(plan, yes=yes)
        with _progress(plan.left, tell) as tick:
            found = replay.run(time.monotonic, tick)
    finally:
        replay.close()
    tell(found_text(found))
    if found.stopped is not None:
        raise found.stopped
    if not given["claim"]:
        tell(f"\n  {compare_command(found.pairs, given['kind'])}\n")
        return 0
    return _judge(found, given)


def _speaker(given: dict[str, Any]) -> Callable[[str], None]:
    """What is said on the way must not stand in a document."""
    document = bool(given["claim"]) and given["form"] != "text"
    return lambda text: say(text, nl=False, err=document)


def _judge(found: Replayed, given: dict[str, Any]) -> int:
    from nibai.app.replay import judge  # noqa: PLC0415 - see command

    audit = judge(found, given["claim"], given["kind"], level=given["level"], clock=time.time)
    say()
    output.show(audit, given["form"], given["html"])
    return output.exit_code(audit, inconclusive_ok=given["inconclusive_ok"])


def _request(given: dict[str, Any]) -> Any:  # noqa: ANN401 - imported late
    from nibai.app.replay_request import ReplayRequest  # noqa: PLC0415 - pyarrow
    from nibai.protocols import CaptureRequest  # noqa: PLC0415 - same
    from nibai.replaying.plan import Profile  # noqa: PLC0415 - same

    for name in ("price", "budget_usd"):
        if given[name] is not None and not given[name] > 0:
            raise UsageError(f"--{name.replace('_', '-')} {given[name]:g}: give a number above 0")
    captures = CaptureRequest(
        source=given["inputs"],
        columns=_named(",".join(given["columns"]).split(","), "--columns"),
        sample=given["sample"],
        seed=given["seed"],
        repeated=given["repeated"],
    )
    options = {name: _value(text) for name, text in _named(given["option"], "--option").items()}
    return ReplayRequest(
        captures=captures,
        baseline=given["baseline"],
        candidate=given["candidate"],
        out=Path(given["out"]),
        options=options,
        profile=Profile(given["repeats"], given["batch"], given["concurrency"], given["seed"]),
        rate=rate(given["rate"]),
        budget=given["budget"],
        price_usd=given["price"],
        budget_usd=given["budget_usd"],
        retries=given["retries"],
        give_up_after=given["give_up_after"],
        output=given["output"],
        labels=() if given["labels"] is None else tuple(given["labels"].split(",")),
        threshold=given["threshold"],
        tolerance=given["tolerance"],
        keep_texts=given["keep_texts"],
        claims=given["claim"],
        kinds=given["kind"],
    )


def rate(text: str) -> float | None:
    """Requests a second; None for "none".

    >>> rate("10/s"), rate("90/m"), rate("none")
    (10.0, 1.5, None)
    """
    if text == "none":
        return None
    match = RATE.fullmatch(text)
    if match is None or float(match.group(1)) == 0:
        raise UsageError(f"--rate {text}: a rate is written like 10/s, 90/m or 500/h, or none")
    return float(match.group(1)) / PER_SECOND[match.group(2)]


def _named(texts: Sequence[str], option: str) -> dict[str, str]:
    found = {}
    for text in filter(None, texts):
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise UsageError(f"{option} {name}: write {option} NAME=VALUE")
        found[name] = value
    return found


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _agree(plan: Plan, *, yes: bool) -> None:
    if yes or not plan.left:
        return
    if not sys.stdin.isatty():
        raise UsageError("nothing was sent: there is no terminal to ask on; add --yes to send")
    if not click.confirm(f"send {plan.left:,} requests?"):
        raise click.exceptions.Abort


@contextmanager
def _progress(left: int, tell: Callable[[str], None]) -> Iterator[Callable[[Progress], None]]:
    """A bar with the time left on a terminal, a line per tenth elsewhere."""
    shown = 0
    if sys.stdout.isatty():
        with click.progressbar(length=left, label="sending", show_pos=True) as bar:

            def advance(progress: Progress) -> None:
                nonlocal shown
                bar.update(progress.answered - shown)
                shown = progress.answered

            yield advance
        return

    def say(progress: Progress) -> None:
        nonlocal shown
        step = STEPS * progress.answered // left if left else 0
        if step > shown:
            shown = step
            tell(f"  sent {progress.answered:,} of {left:,} requests\n")

    yield say
