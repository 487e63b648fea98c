"""`nibai changes`: what landed, and what was promised of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from nibai.cli import pairs_words
from nibai.cli.changes_discover import discover
from nibai.cli.changes_find import find
from nibai.cli.changes_watch import watch
from nibai.cli.common import configuration, data_options, moment, window
from nibai.cli.costs import cost_options, costs_of
from nibai.cli.saying import inert_name, say, say_document
from nibai.conventions import PRECISIONS
from nibai.errors import UsageError

if TYPE_CHECKING:
    from nibai.model import Change, Claim

KINDS = (
    "instance_type", "capacity", "container", "driver", "mig", "routing", "env", "compilation",
    "precision", "pruning", "distillation", "speculative_decoding", "weights", "adapter",
    "serverless_memory",
)  # fmt: skip

NONE_YET = (
    "no changes yet: nibai changes discover finds what was deployed on SageMaker, "
    "nibai changes declare states one"
)


@click.group("changes")
def command() -> None:
    """Declare changes and what they promise; discover, find and watch for them; list, show."""


command.add_command(discover)
command.add_command(find)
command.add_command(watch)


@command.command("declare")
@click.option(
    "--endpoint",
    required=True,
    metavar="P/S/N",
    help="provider/scope/name, such as onprem/tokyo/ocr.",
)
@click.option(
    "--kind",
    multiple=True,
    type=click.Choice((*KINDS, *PRECISIONS)),
    help="What was changed; repeat when several.",
)
@click.option("--at", metavar="TIME", help="When traffic moved: before and after are compared.")
@click.option(
    "--began",
    metavar="TIME",
    help="When its deployment began: what lies between this and --at belongs to neither side.",
)
@click.option("--baseline-variant", metavar="NAME", help="The variant before.")
@click.option("--candidate-variant", metavar="NAME", help="The variant after.")
@click.option(
    "--control-variant",
    metavar="NAME",
    help="A second copy of the variant before: how often it disagrees with itself.",
)
@click.option("--baseline", metavar="START/END", help="The window before.")
@click.option("--candidate", metavar="START/END", help="The window after.")
@click.option("--claim", multiple=True, metavar="SENTENCE", help="What was promised; repeat.")
@click.option("--runs", is_flag=True, help="Every replica is one bounded run.")
@click.option(
    "--order", metavar="WORD", help="Order in which runs were made on both sides, such as random."
)
@click.option(
    "--setup-defect",
    metavar="TEXT",
    help="A known flaw of the measurement: speed claims become not comparable.",
)
@click.option(
    "--tier",
    metavar="FROM,TO",
    help="Service tiers of a Bedrock model that prices are looked up for: "
    "default, priority, flex, reserved or optimized (latency).",
)
@click.option("--rollback-of", metavar="CHANGE", help="The change that this one takes back.")
@cost_options
@click.option("--description", default="", metavar="TEXT", help="For people.")
@data_options
def declare(**given: object) -> int:
    """Declare a change, before its data are read; prints its id."""
    from nibai.app.audit import open_desk  # noqa: PLC0415 - numpy, duckdb, sqlalchemy

    config = configuration(_text(given["config_file"]), _text(given["data"]))
    change = _change(given)
    with open_desk(config, time.time) as desk:
        stored = desk.declare(change)
    say(stored.id)
    for sentence in stored.sentences:
        say(f"  claim: {sentence.text}{_margins(sentence.parts)}", err=True)
        for line in _pairs(stored, sentence.parts):
            say(f"    {line}", err=True)
    return 0


@command.command("list")
@data_options
def listing(config_file: str | None, data: str | None) -> int:
    """All changes, the newest first."""
    from nibai.app.audit import open_desk  # noqa: PLC0415 - see declare

    with open_desk(configuration(config_file, data), time.time) as desk:
        changes = desk.changes()
    if not changes:
        say(NONE_YET, err=True)
    for change in changes:
        kinds = ",".join(change.kinds) or "-"
        claims = "; ".join(sentence.text for sentence in change.sentences) or "-"
        say(f"{change.id}  {inert_name(change.endpoint)}  {kinds}  {claims}")
    return 0


@command.command("show")
@click.argument("change_id", metavar="CHANGE")
@data_options
def show(change_id: str, config_file: str | None, data: str | None) -> int:
    """One change as JSON."""
    from nibai.app.audit import change_document, open_desk  # noqa: PLC0415 - see declare

    with open_desk(configuration(config_file, data), time.time) as desk:
        change = desk.change(change_id)
    say_document(change_document(change))
    return 0


def _change(given: dict[str, object]) -> Change:
    from nibai.app.kinds import change_kinds, tiers  # noqa: PLC0415 - see declare
    from nibai.claims import parse  # noqa: PLC0415 - see declare
    from nibai.model import Change as Found  # noqa: PLC0415 - see declare

    def many(name: str) -> tuple[str, ...]:
        values = given[name]
        return tuple(str(value) for value in values) if isinstance(values, tuple) else ()

    at, before, after = (_text(given[name]) for name in ("at", "baseline", "candidate"))
    began = _began(_text(given["began"]), at)
    said = {
        name: _text(given[name])
        for name in ("order", "setup_defect", "control_variant", "rollback_of")
    }
    tier = _text(given["tier"])
    said["tier"] = None if tier is None else tiers(tier)
    kinds, known = change_kinds(many("kind"))
    return Found(
        id="",
        endpoint=str(given["endpoint"]),
        kinds=kinds,
        effective_at=None if at is None else moment(at, "--at"),
        started_at=began,
        description=str(given["description"]),
        sentences=tuple(parse(claim) for claim in many("claim")),
        baseline_variant=_text(given["baseline_variant"]),
        candidate_variant=_text(given["candidate_variant"]),
        baseline_window=None if before is None else window(before, "--baseline"),
        candidate_window=None if after is None else window(after, "--candidate"),
        runs=bool(given["runs"]),
        costs=costs_of(given),
        evidence={"source": "declared"} | known | {key: text for key, text in said.items() if text},
    )


def _began(began: str | None, at: str | None) -> float | None:
    """When the deployment began; UsageError where that makes no sense."""
    if began is None:
        return None
    start = moment(began, "--began")
    if at is None or start > moment(at, "--at"):
        raise UsageError(f"--began {began!r}: say with --at when it was over, and not before")
    return start


def _margins(parts: Sequence[Claim]) -> str:
    from nibai.app.plan_pairs import NAMED  # noqa: PLC0415 - see declare

    margins = {part.margin for part in parts if part.promise not in NAMED}
    text = ", ".join(f"{margin * 100:g}%" for margin in sorted(margins))
    return f" (margin {text})" if text else ""


def _pairs(change: Change, parts: Sequence[Claim]) -> list[str]:
    """What claims about predictions allow and need, before their data are read."""
    from nibai.app.plan_pairs import NAMED, plan_pairs  # noqa: PLC0415 - see declare
    from nibai.claims import print_claim  # noqa: PLC0415 - see declare

    found = []
    for part in parts:
        if part.promise in NAMED:
            found += [f"{print_claim(part)}:", *pairs_words.lines(plan_pairs(change, part))]
    return found


def _text(value: object) -> str | None:
    return None if value is None else str(value)
