"""`nibai check-config`: the resolved configuration, or everything that is wrong with it."""

from __future__ import annotations

import click

from nibai.cli.common import configuration, data_options


@click.command("check-config")
@data_options
def command(config_file: str | None, data: str | None) -> int:
    """Print the resolved configuration as YAML; secrets stay references."""
    import yaml  # noqa: PLC0415 - only here

    config = configuration(config_file, data)
    document = config.model_dump(mode="json")
    click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)
    return 0
