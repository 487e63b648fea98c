"""`nibai plugins`: what is installed, and whether it loads."""

from __future__ import annotations

import click

from nibai import plugins
from nibai.cli.saying import say
from nibai.errors import PluginError


@click.command("plugins")
def command() -> int:
    """Installed plug-ins, and whether they load."""
    broken = 0
    for group in plugins.GROUPS:
        for entry in plugins.registered(group):
            try:
                plugins.load_module(group, entry.name)
                state = "ok"
            except PluginError as error:
                state, broken = str(error), broken + 1
            say(f"{group:<18} {entry.name:<12} {entry.value:<24} {state}")
    return PluginError.exit_code if broken else 0
