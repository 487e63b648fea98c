"""How commands print an audit, and the exit code that its verdict stands for."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nibai import plugins
from nibai.cli.saying import say, say_json
from nibai.errors import PluginError, UsageError
from nibai.model import Audit, Verdict

if TYPE_CHECKING:
    from nibai.fleet import FleetAudit

FORMATS = ("text", "json", "markdown")

_AUDIT_OPTIONS = (
    click.option(
        "--level",
        type=click.FloatRange(0.5, 0.999),
        default=0.95,
        show_default=True,
        help="Confidence level.",
    ),
    click.option(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        help="How to print the audit.",
    ),
    click.option("--html", metavar="FILE", help="Also write the report here."),
    click.option("--inconclusive-ok", is_flag=True, help="Exit 0 instead of 3 when undecided."),
)


def audit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--level, --format, --html and --inconclusive-ok: of every command that makes an audit."""
    for option in reversed(_AUDIT_OPTIONS):
        command = option(command)
    return command


def show(audit: Audit | FleetAudit, form: str, html: str | None) -> None:
    """Print an audit, and write its HTML report where asked."""
    if form == "json":
        say_json(_json(audit))
    else:
        text = render(audit, form, _terminal() if form == "text" else {})
        say(text, nl=False)
    if html is not None:
        write_html(audit, Path(html))


def render(audit: Audit | FleetAudit, form: str, options: Mapping[str, object]) -> str:
    """An audit by one of the installed renderers."""
    renderer = plugins.load("nibai.renderers", form, options)
    method = "render" if isinstance(audit, Audit) else "render_fleet"
    render_ = getattr(renderer, method, None)
    if not callable(render_):
        raise PluginError(f"plug-in {form!r} in nibai.renderers has no {method} method")
    return str(render_(audit))


def _json(audit: Audit | FleetAudit) -> str:
    if isinstance(audit, Audit):
        from nibai.document import dumps  # noqa: PLC0415 - only for this format

        return dumps(audit)
    from nibai.fleet_document import dumps as fleet_dumps  # noqa: PLC0415 - same

    return fleet_dumps(audit)


def prepare(form: str) -> None:
    """Import what `show` will need, so that it need not be waited for then."""
    if form == "json":
        return
    plugins.load("nibai.renderers", form)
    import rich.console  # noqa: PLC0415 - what the text renderer imports when it draws
    import rich.table  # noqa: F401, PLC0415 - same


def write_html(audit: Audit | FleetAudit, path: Path) -> None:
    """Write the self-contained report."""
    try:
        path.write_text(render(audit, "html", {}), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path}: the report cannot be written ({error.strerror}): "
            "choose another place (--html)"
        ) from error
    say(f"report: {path}", err=True)


def exit_code(audit: Audit | FleetAudit, *, inconclusive_ok: bool) -> int:
    """0 confirmed, 1 refuted, 3 otherwise; `partly` is 1 when a claim (an endpoint) is refuted."""
    results = audit.sentences if isinstance(audit, Audit) else audit.endpoints
    verdicts = {result.verdict for result in results}
    if audit.verdict is Verdict.CONFIRMED:
        return 0
    if audit.verdict is Verdict.REFUTED:
        return 1
    if audit.verdict is Verdict.PARTLY and Verdict.REFUTED in verdicts:
        return 1
    return 0 if inconclusive_ok else 3


def _terminal() -> dict[str, object]:
    interactive = sys.stdout.isatty()
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
    return {
        "width": min(shutil.get_terminal_size((100, 24)).columns, 120) if interactive else 100,
        "color": interactive and "NO_COLOR" not in os.environ,
        "ascii": "utf" not in encoding,
    }
