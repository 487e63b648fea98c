"""`nibai audit`: judge a change in the lake; `audit list`, `audit show ID`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nibai.cli import output
from nibai.cli.common import configuration, data_options, moment, window
from nibai.cli.costs import cost_options, costs_of
from nibai.cli.saying import say
from nibai.cli.watch import watch_options
from nibai.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nibai.app.audit import Desk
    from nibai.model import Audit, Change, Window


NO_AUDITS = "no audits yet: nibai audit judges a declared change and stores what it found"


class _Audit(click.Group):
    """A command of its own (`audit CHANGE`) that also has a sub-command (`audit fleet`)."""

    allow_interspersed_args = True
    allow_extra_args = False

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return ["fleet"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name != "fleet":
            return None
        from nibai.cli.fleet import command as fleet  # noqa: PLC0415 - only when it is used

        return fleet

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401 - what click passes through
    ) -> click.Context:
        if args[:1] == ["fleet"]:
            own = click.Context(self, info_name=info_name, parent=parent)
            fleet = self.get_command(own, "fleet")
            assert fleet is not None  # noqa: S101 - for the type checker
            return fleet.make_context("fleet", args[1:], own, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return click.Command.parse_args(self, ctx, args)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it
        return click.Command.invoke(self, ctx)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return click.Command.collect_usage_pieces(self, ctx)


class _What(click.Argument):
    """What stands behind `audit` itself; it is no part of the name of `audit fleet`."""

    def get_usage_pieces(self, ctx: click.Context) -> list[str]:
        return super().get_usage_pieces(ctx) if isinstance(ctx.command, _Audit) else []


@click.command("audit", cls=_Audit, no_args_is_help=False)
@click.argument("what", cls=_What, nargs=-1, metavar="[CHANGE] | list | show ID | fleet")
@click.option(
    "--claim",
    multiple=True,
    metavar="SENTENCE",
    help="Judge this instead of what was declared; repeat.",
)
@click.option("--runs", is_flag=True, help="Every replica is one bounded run.")
@click.option("--since", metavar="TIME", help="With --until: the window of both variants.")
@click.option("--until", metavar="TIME", help="See --since.")
@click.option("--baseline", metavar="START/END", help="The window before.")
@click.option("--candidate", metavar="START/END", help="The window after.")
@click.option(
    "--evidently",
    metavar="FILE",
    help="Also write Evidently's report (.html) or snapshot (.json) of the pairs; decides nothing.",
)
@cost_options
@watch_options
@output.audit_options
@data_options
def command(
    what: tuple[str, ...],
    claim: tuple[str, ...],
    *,
    form: str,
    html: str | None,
    inconclusive_ok: bool,
    config_file: str | None,
    data: str | None,
    **given: object,
) -> int:
    """Judge a change in the lake, store the audit and print it.

    CHANGE is an id of `nibai changes list`; the only change needs no id. `nibai audit list` lists
    stored audits, `nibai audit show ID` prints one again. `nibai audit fleet` judges many
    endpoints.

    With --watch it looks at every closed block of time until the claims are decided; looking often
    costs nothing, and a verdict reached is final for the change.
    """
    from nibai.app.audit import open_desk  # noqa: PLC0415 - numpy, duckdb, sqlalchemy

    with open_desk(configuration(config_file, data), time.time) as desk:
        if what[:1] == ("list",):
            return _list(desk)
        if what[:1] == ("show",):
            if len(what) != 2:  # noqa: PLR2004 - show and its id
                raise UsageError("audit show needs one ID: see nibai audit list")
            audit = desk.stored(what[1])
        else:
            if len(what) > 1:
                raise UsageError(f"one change at a time, not {len(what)}: {', '.join(what)}")
            change = desk.change(what[0] if what else None)
            level, windows = float(str(given["level"])), _windows(given)
            if given["watch"]:
                audit = _watched(desk, change, claim, level, given)
            else:
                audit = desk.audit(
                    change,
                    claim,
                    runs=bool(given["runs"]),
                    windows=windows,
                    level=level,
                    costs=costs_of(given),
                    evidently=Path(str(given["evidently"])) if given["evidently"] else None,
                )
    output.show(audit, form, html)
    return output.exit_code(audit, inconclusive_ok=inconclusive_ok)


def _list(desk: Desk) -> int:
    stored = desk.state.audits()
    for audit_id, about, created_at, verdict in stored:
        say(f"{audit_id}  {_moment(created_at)}  {about}  {verdict}")
    if not stored:
        say(NO_AUDITS, err=True)
    return 0


def _watched(
    desk: Desk, change: Change, claims: Sequence[str], level: float, given: dict[str, object]
) -> Audit:
    from nibai.app.audit import with_claims  # noqa: PLC0415 - see command
    from nibai.cli import watch  # noqa: PLC0415 - only here

    fixed = (
        "runs",
        "since",
        "until",
        "baseline",
        "candidate",
        "evidently",
        "cost_per_hour",
        "instances",
    )
    wrong = [f"--{name.replace('_', '-')}" for name in fixed if given[name]]
    if wrong:
        raise UsageError(
            f"{wrong[0]} is about a fixed window, --watch follows the change as it goes"
        )
    limit = given["limit"]
    return watch.command(
        desk,
        with_claims(change, claims),
        level=level,
        every=str(given["every"]),
        limit=None if limit is None else str(limit),
        sleep=time.sleep,
    )


def _windows(given: dict[str, object]) -> tuple[Window, Window] | None:
    from nibai.model import Window as Found  # noqa: PLC0415 - imports numpy

    since, until = given["since"], given["until"]
    before, after = given["baseline"], given["candidate"]
    if before is not None and after is not None:
        return window(str(before), "--baseline"), window(str(after), "--candidate")
    if before is not None or after is not None:
        raise UsageError("give both windows: --baseline START/END and --candidate START/END")
    if since is not None and until is not None:
        both = Found(moment(str(since), "--since"), moment(str(until), "--until"))
        return both, both
    if since is not None or until is not None:
        raise UsageError("give both ends of the window: --since TIME and --until TIME")
    return None


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
