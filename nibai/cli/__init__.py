"""The command line: one lazily loaded module per command, and the exit codes.

0 confirmed · 1 refuted · 2 usage · 3 inconclusive or not comparable · 4 plug-in · 5 unreadable
input · 6 store · 7 notify · 70 unexpected · 130 Ctrl-C · 143 SIGTERM. 1 is never a crash.
"""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
import tempfile
import traceback
from types import FrameType
from typing import NoReturn

import click

from nibai.errors import NibaiError
from nibai.redaction import redacted

EXIT_UNEXPECTED = 70
EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141
EXIT_TERMINATED = 143

# name -> (module, one-line help): the help page must not import what the commands need.
COMMANDS = {
    "init": ("nibai.cli.init", "Write a commented nibai.yaml for an endpoint."),
    "compare": ("nibai.cli.compare", "Is it really faster? The answer from files, in seconds."),
    "audit": (
        "nibai.cli.audit",
        "The same answer for a change in the lake; stored, printed again.",
    ),
    "changes": ("nibai.cli.changes", "Declare, discover, find, list and show changes."),
    "replay": (
        "nibai.cli.replay",
        "Did the answers change? Captured inputs through both variants.",
    ),
    "plan": ("nibai.cli.plan", "How long a claim must be watched, said beforehand."),
    "run": ("nibai.cli.run", "Receive, store and serve: one process."),
    "collect": ("nibai.cli.collect", "Read CloudWatch and captures on; says the cost."),
    "dashboards": (
        "nibai.cli.dashboards",
        "Dashboards for Grafana: build, check and push them.",
    ),
    "doctor": (
        "nibai.cli.doctor",
        "What can be read, from where, at which cost; fixes for the rest.",
    ),
    "lake": ("nibai.cli.lake", "What is stored, and how to remove it."),
    "rules": ("nibai.cli.rules", "Who hears of which verdict: alerts and their receivers."),
    "check-config": (
        "nibai.cli.check_config",
        "Print the resolved configuration, or what is wrong.",
    ),
    "plugins": ("nibai.cli.plugins", "Installed plug-ins, and whether they load."),
}


class Terminated(BaseException):
    """SIGTERM, raised so that open files and processes are closed on the way out."""


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names: built-in ones in the order of use, then those of plug-ins."""
        del ctx
        return [*COMMANDS, *sorted(_plugged())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself, imported now."""
        del ctx
        if cmd_name in COMMANDS:
            command = importlib.import_module(COMMANDS[cmd_name][0]).command
        elif cmd_name in _plugged():
            from nibai import plugins  # noqa: PLC0415 - only for commands of plug-ins

            command = plugins.load_module("nibai.commands", cmd_name).command
        else:
            return None
        assert isinstance(command, click.Command)  # noqa: S101 - for the type checker
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands without importing them."""
        del ctx
        rows = [(name, text) for name, (_, text) in COMMANDS.items()]
        rows += [(name, "Audit a live model on this machine.") for name in sorted(_plugged())]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _plugged() -> set[str]:
    from nibai import plugins  # noqa: PLC0415 - built-in commands need none

    return {entry.name for entry in plugins.registered("nibai.commands")}


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from nibai import __version__  # noqa: PLC0415 - reads package metadata

        click.echo(f"nibai {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
def cli() -> None:
    """Is inference really 2x faster? Evidence for or against, on your own traffic."""


def main() -> NoReturn:
    """Run the command line and turn every end of it into an exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(invoke(sys.argv[1:]))


def invoke(arguments: list[str]) -> int:  # noqa: PLR0911 - one return per way to end
    """Run one command line; the exit code."""
    try:
        outcome = cli.main(arguments, prog_name="nibai", standalone_mode=False)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        _show(error)
        return 2
    except NibaiError as error:
        _say(str(error))
        return error.exit_code
    except (KeyboardInterrupt, click.exceptions.Abort):
        _say("interrupted")
        return EXIT_INTERRUPTED
    except Terminated:
        _say("terminated")
        return EXIT_TERMINATED
    except BrokenPipeError:
        # The reader left (for example `| head`); nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 - the last line of defence: 1 is never a crash
        _say(f"unexpected {type(error).__name__}; the traceback is in {_write_traceback()}")
        return EXIT_UNEXPECTED
    return outcome if isinstance(outcome, int) else 0


def _show(error: click.ClickException) -> None:
    """As click shows it: with the usage of the command where there is one."""
    shown = io.StringIO()
    error.show(file=shown)
    _say_all(shown.getvalue())


def _say(text: str) -> None:
    _say_all(f"nibai: {text}\n")


def _say_all(text: str) -> None:
    try:
        from nibai.cli.saying import say  # noqa: PLC0415 - only where there is something to say
    except (ImportError, MemoryError):
        # Without memory: the exit code has to be the right one all the same.
        sys.stderr.write(redacted(text))
        return
    say(text, nl=False, err=True)


def _write_traceback() -> str:
    handle, path = tempfile.mkstemp(prefix="nibai-traceback-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(redacted(traceback.format_exc()))
    return path


def _terminate(_signum: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated
