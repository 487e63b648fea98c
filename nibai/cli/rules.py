"""`nibai rules`: check, test and try the rule file; export it; silence alerts."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nibai.cli.common import configuration, data_options
from nibai.cli.saying import say, say_exactly
from nibai.errors import NotifyError, UsageError

if TYPE_CHECKING:
    from nibai.protocols import RuleBook
    from nibai.store.state.database import State

RULES = click.option(
    "--rules", "rules_file", metavar="FILE", help="The rule file (default: rules in nibai.yaml)."
)
RULE = click.option("--rule", metavar="NAME", help="Of which rule (default: the first).")


@click.group("rules")
def command() -> None:
    """Who hears of which verdict: check, test and try the rule file; silence alerts."""


@command.command("check")
@RULES
@data_options
def check(rules_file: str | None, config_file: str | None, data: str | None) -> int:
    """Say everything that is wrong with the rule file; exit 0 or 2."""
    path = _path(rules_file, config_file, data)
    say(f"{path}: {_book(path).summary()}")
    return 0


@command.command("test")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def test(files: tuple[str, ...]) -> int:
    """Run examples: what is seen when, and which alerts have to fire; exit 0 or 2."""
    from nibai.app.alerting.desk import examples  # noqa: PLC0415 - pydantic, sqlalchemy

    failures: list[str] = []
    total = 0
    for file in files:
        number, failed = examples(Path(file))
        total += number
        failures += failed
    if failures:
        raise UsageError("\n".join(failures))
    say(f"{total} examples passed")
    return 0


@command.command("export")
@click.option(
    "--format",
    "form",
    type=click.Choice(("prometheus", "grafana", "grafana-contacts")),
    default="prometheus",
    show_default=True,
    help="For whom.",
)
@click.option("--no-keep-firing-for", is_flag=True, help="Leave keep_firing_for out (vmalert).")
@click.option(
    "--datasource", default="prometheus", show_default=True, metavar="UID", help="Grafana's."
)
@click.option("--folder", default="nibai", show_default=True, metavar="UID", help="Grafana's.")
@RULES
@data_options
def export(
    *,
    form: str,
    no_keep_firing_for: bool,
    datasource: str,
    folder: str,
    rules_file: str | None,
    config_file: str | None,
    data: str | None,
) -> int:
    """Print the rules as a rule file of Prometheus, or as rule groups of Grafana.

    With grafana-contacts: whom they are told, as contact points and a notification policy; secrets
    stay references, which nibai dashboards push resolves.
    """
    book = _book(_path(rules_file, config_file, data))
    options: dict[str, object] = {"keep_firing_for": not no_keep_firing_for}
    if form == "grafana":
        options = {"datasource": datasource, "folder": folder}
    say_exactly(book.export(form, options))
    return 0


@command.command("render")
@click.option(
    "--as", "notifier", default="slack", show_default=True, metavar="NOTIFIER", help="For whom."
)
@click.option("--resolved", is_flag=True, help="The message that it is over.")
@RULE
@RULES
@data_options
def render(
    *,
    notifier: str,
    resolved: bool,
    rule: str | None,
    rules_file: str | None,
    config_file: str | None,
    data: str | None,
) -> int:
    """Print the message of a refuted claim as a receiver gets it; nothing is sent."""
    from nibai.app.alerting import desk  # noqa: PLC0415 - see test

    book = _book(_path(rules_file, config_file, data))
    notice = desk.sample_notice(book, rule, resolved=resolved)
    say(desk.rendered(notifier, notice), nl=False)
    return 0


@command.command("fire")
@click.option("--dry-run", is_flag=True, help="Only show what would be sent to whom.")
@RULE
@RULES
@data_options
def fire(
    dry_run: bool,
    rule: str | None,
    rules_file: str | None,
    config_file: str | None,
    data: str | None,
) -> int:
    """Send a test alert, and its end, to the receivers of a rule; exit 7 when one fails."""
    from nibai.app.alerting import desk  # noqa: PLC0415 - see test
    from nibai.config import environment  # noqa: PLC0415 - see test
    from nibai.protocols import Surroundings  # noqa: PLC0415 - see test

    book = _book(_path(rules_file, config_file, data))
    around = None if dry_run else Surroundings(environment(), lambda _audit: None, time.time)
    told = desk.fire(book, rule, around)
    for one in told:
        said = "would be told" if dry_run else one.problem or one.message
        say(f"{one.receiver}: {said}")
        if dry_run:
            say(one.message, nl=False)
    failed = [one.receiver for one in told if one.problem is not None]
    if failed:
        raise NotifyError(f"not told: {', '.join(failed)}", retryable=True, reason="not_told")
    return 0


@command.command("alerts")
@data_options
def alerts(config_file: str | None, data: str | None) -> int:
    """How all alerts stand, and what receivers could not be told."""
    from nibai.app.alerting.listing import lines  # noqa: PLC0415 - see test

    with closing(_state(config_file, data)) as state:
        for line in lines(state, time.time()):
            say(line)
    return 0


@command.command("silence")
@click.option("--endpoint", metavar="GLOB", help="Alerts of these endpoints (* and ?).")
@click.option("--change", metavar="ID", help="Alerts of this change.")
@click.option("--claim", metavar="NAME", help="Alerts of this claim, by its name.")
@click.option("--collector", metavar="GLOB", help="Alerts about these collectors.")
@click.option("--severity", metavar="WORD", help="critical, warning or info.")
@click.option(
    "--for", "duration", default="2h", show_default=True, metavar="TIME", help="How long."
)
@click.option("--comment", default="", metavar="TEXT", help="Why, for others.")
@data_options
def silence(
    duration: str, comment: str, config_file: str | None, data: str | None, **matchers: str | None
) -> int:
    """Tell nobody of some alerts for a while; what still fires then is told then."""
    from nibai.app.alerting import desk  # noqa: PLC0415 - see test
    from nibai.config import DURATION, SECONDS  # noqa: PLC0415 - see test

    match = DURATION.fullmatch(duration)
    if match is None:
        raise UsageError(f"--for {duration!r}: a duration is written like 90s, 15m, 2h or 30d")
    seconds = float(match.group(1)) * SECONDS[match.group(2)]
    chosen = {name: text for name, text in matchers.items() if text is not None}
    with closing(_state(config_file, data)) as state:
        begun = desk.silence(state, chosen, time.time(), seconds, comment)
    say(begun.id)
    return 0


@command.command("unsilence")
@click.argument("silence_id", metavar="ID")
@data_options
def unsilence(silence_id: str, config_file: str | None, data: str | None) -> int:
    """End a silence now."""
    from nibai.app.alerting import desk  # noqa: PLC0415 - see test

    with closing(_state(config_file, data)) as state:
        desk.end_silence(state, silence_id, time.time())
    return 0


def _path(rules_file: str | None, config_file: str | None, data: str | None) -> Path:
    if rules_file is not None:
        return Path(rules_file)
    found = configuration(config_file, data).rules
    if found is None:
        raise UsageError("which rule file? give --rules FILE, or write rules: FILE in nibai.yaml")
    return found


def _book(path: Path) -> RuleBook:
    from nibai.app.alerting.engine import rule_book  # noqa: PLC0415 - pydantic, sqlalchemy

    return rule_book(path)


def _state(config_file: str | None, data: str | None) -> State:
    from nibai.store.state.database import open_state  # noqa: PLC0415 - sqlalchemy

    return open_state(configuration(config_file, data).state_address)
