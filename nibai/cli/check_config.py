"""`nibai check-config`: the resolved configuration, or everything that is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nibai.cli.common import configuration, data_options
from nibai.cli.saying import say
from nibai.errors import ConfigError
from nibai.redaction import redacted_values

if TYPE_CHECKING:
    from nibai.config import Schedule, Slots

JOBS = ("follow", "fleet", "changes", "outputs")


@click.command("check-config")
@data_options
def command(config_file: str | None, data: str | None) -> int:
    """Print the resolved configuration as YAML; secrets stay references."""
    import yaml  # noqa: PLC0415 - only here

    config = configuration(config_file, data)
    _check_cron_lines(config.schedule)
    document = redacted_values(config.model_dump(mode="json"))
    say(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)
    return 0


def _check_cron_lines(schedule: Schedule) -> None:
    """ConfigError for the lines that `nibai run` could not take; all of them at once."""
    from nibai.schedule import cron  # noqa: PLC0415 - apscheduler

    wrong = []
    for name in JOBS:
        slots: Slots | None = getattr(schedule, name)
        if slots is None or slots.cron is None:
            continue
        try:
            cron(slots.cron)
        except ValueError as error:
            wrong.append(f"schedule.{name}.cron: {error}")
    if wrong:
        raise ConfigError("\n".join(wrong))
