"""The command line starts fast, lists every command and never crashes with 1."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from nibai import cli
from nibai.errors import (
    CollectError,
    ConfigError,
    NotifyError,
    PluginError,
    StoreError,
    UsageError,
)


def test_help_lists_every_command(capsys, golden):
    assert cli.invoke(["--help"]) == 0
    golden("help.txt", capsys.readouterr().out)


def test_every_listed_command_exists(capsys):
    for name in cli.COMMANDS:
        assert cli.invoke([name, "--help"]) == 0, name
    assert capsys.readouterr().out.count("Usage: nibai") == len(cli.COMMANDS)


def test_help_imports_nothing_heavy():
    # Time is claimed in bench/; what costs it is checked here.
    code = (
        "import sys\nfrom nibai.cli import invoke\ninvoke(['--help'])\n"
        "heavy = {'numpy', 'pyarrow', 'duckdb', 'pandas', 'scipy', 'sqlalchemy', 'rich', 'boto3'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_version(capsys):
    assert cli.invoke(["--version"]) == 0
    assert capsys.readouterr().out.startswith("nibai 0.")


def test_an_unknown_command_is_a_usage_error(capsys):
    assert cli.invoke(["compair"]) == 2
    assert "compair" in capsys.readouterr().err


ENDS = [
    (UsageError("no such column"), 2),
    (ConfigError("bad.yaml: otlp.listen: not an address (got 'x')"), 2),
    (PluginError("does not load"), 4),
    (CollectError("unreadable"), 5),
    (StoreError("disk full"), 6),
    (NotifyError("no answer", retryable=True, reason="timeout"), 7),
    (KeyboardInterrupt(), 130),
    (cli.Terminated(), 143),
    (click.exceptions.Abort(), 130),
    (ZeroDivisionError("division by zero"), 70),
]


HELD = [
    (
        "https://hooks.slack.com/services/T012/B345/abcdefgh refuses",
        "https://hooks.slack.com/services/[secret] refuses",
    ),
    ("GET https://me:hunter2@x/y?a=1: 401", "GET https://me:[secret]@x/y?a=1: 401"),
    ("https://x/y?api_key=hunter2&page=2", "https://x/y?api_key=[secret]&page=2"),
    (
        "https://s3/x?X-Amz-Security-Token=hunter2&X-Amz-Signature=ab12, 403",
        "https://s3/x?X-Amz-Security-Token=[secret]&X-Amz-Signature=[secret], 403",
    ),
    ("sent Authorization: Bearer hunter2-hunter2", "sent Authorization: Bearer [secret]"),
    ("got {'token': 'hunter2'}", "got {'token': '[secret]'}"),
    ("host=db password=hunter2 user=me", "host=db password=[secret] user=me"),
]
PLAIN = [
    "x.yaml: web.token: write env:NAME (got token=env:NAME)",
    "no column 'token' for prompt_tokens=512: a bearer token is required",
    "http://127.0.0.1:4318/a@b is taken; postgresql://me@db is not",
]


@pytest.mark.parametrize(("text", "said"), [*HELD, *((one, one) for one in PLAIN)])
@pytest.mark.parametrize("kind", [StoreError, click.UsageError])
def test_no_error_says_a_secret(monkeypatch, capsys, text, said, kind):
    def fail(*_args, **_kwargs):
        raise kind(text)

    monkeypatch.setattr(cli.cli, "main", fail)
    assert cli.invoke([]) == (6 if kind is StoreError else 2)
    assert capsys.readouterr().err.endswith(f"{said}\n")


def test_a_traceback_that_is_kept_holds_no_secret(monkeypatch, capsys):
    def fail(*_args, **_kwargs):
        raise ZeroDivisionError("https://me:hunter2@x?token=hunter2")

    monkeypatch.setattr(cli.cli, "main", fail)
    assert cli.invoke([]) == 70
    path = Path(capsys.readouterr().err.strip().rpartition(" ")[2])
    kept = path.read_text(encoding="utf-8").splitlines()[-1]
    path.unlink()
    assert kept == "ZeroDivisionError: https://me:[secret]@x?token=[secret]"


@pytest.mark.parametrize(("error", "code"), ENDS)
def test_every_end_has_its_exit_code(monkeypatch, capsys, error, code):
    def fail(**_):
        raise error

    monkeypatch.setitem(cli.cli.commands, "fail", click.Command("fail", callback=fail))
    monkeypatch.setattr(
        cli.LazyGroup, "get_command", lambda self, _ctx, name: self.commands.get(name)
    )
    assert cli.invoke(["fail"]) == code
    said = capsys.readouterr().err.lstrip("\n")  # click ends the line of a ^C
    assert said.startswith("nibai: ")
    assert "Traceback" not in said
    assert said.count("\n") == 1


def test_an_unexpected_error_leaves_its_traceback_in_a_file(monkeypatch, capsys):
    def fail(**_):
        raise ZeroDivisionError

    monkeypatch.setattr(
        cli.LazyGroup, "get_command", lambda *_: click.Command("fail", callback=fail)
    )
    assert cli.invoke(["fail"]) == 70
    path = Path(capsys.readouterr().err.rsplit(" ", 1)[1].strip())
    assert "ZeroDivisionError" in path.read_text(encoding="utf-8")
    path.unlink()


def test_sigterm_ends_with_143():
    code = (
        "import click, time\nfrom nibai import cli\n"
        "def wait():\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "cli.LazyGroup.get_command = lambda *_: click.Command('wait', callback=wait)\n"
        "import sys; sys.argv = ['nibai', 'wait']\ncli.main()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 143
