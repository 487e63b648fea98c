"""`nibai run`: receive, fold and serve, in one process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nibai.cli.common import configuration, data_options
from nibai.errors import ConfigError

if TYPE_CHECKING:
    from nibai.config import Config


@click.command("run")
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 picks a free one.")
@click.option("--ready-file", metavar="FILE", help="Write the address here once it is served.")
@data_options
def command(
    listen: str | None, ready_file: str | None, config_file: str | None, data: str | None
) -> int:
    """Receive, collect, follow changes, alert and show: everything in one process.

    OTLP comes in over HTTP, the configured sources are read, every claimed change is followed until
    it is decided. Pages are at /audits, metrics for Prometheus at /metrics; /healthz and /readyz
    say how it is. SIGTERM and Ctrl-C stop it gracefully: the open minute is folded first.
    """
    from nibai.app.run import serve  # noqa: PLC0415 - uvicorn, duckdb, deltalake

    config = configuration(config_file, data)
    if listen is not None:
        config = _listening(config, listen)
    return serve(config, ready_file=Path(ready_file) if ready_file else None, clock=time.time)


def _listening(config: Config, listen: str) -> Config:
    """The configuration with another address, under the same rules."""
    from pydantic import ValidationError  # noqa: PLC0415 - with the configuration

    from nibai.config import Otlp  # noqa: PLC0415 - pydantic

    try:
        # Who guards the address decides what it may be; durations are not written as they are read.
        guards = config.otlp.model_dump(include={"grpc", "token", "tls"}, exclude_unset=True)
        checked = Otlp.model_validate({**guards, "listen": listen})
    except ValidationError as error:
        fact = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"--listen {listen!r}: {fact}") from error
    otlp = config.otlp.model_copy(update={"listen": checked.listen})
    return config.model_copy(update={"otlp": otlp})
