"""A Prometheus and an Alertmanager around nibai, where they are installed."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from demo.processes import Child

READY_SECONDS = 30.0
SCRAPE = """\
global: {scrape_interval: 2s, scrape_timeout: 2s}
scrape_configs:
- job_name: nibai
  static_configs: [{targets: ["%s"]}]
"""
ROUTES = """\
route: {receiver: none, group_by: [...], group_wait: 1s}
receivers: [{name: none}]
"""


def prometheus(folder: Path, log: Path, target: str) -> tuple[Child, int] | None:
    """One that scrapes nibai, and its port; None where it is not installed."""
    program = shutil.which("prometheus")
    if program is None:
        return None
    config = folder / "prometheus.yml"
    config.write_text(SCRAPE % target, encoding="utf-8")
    port = free_port()
    return Child(
        [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'prometheus'}",
         f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=native-histograms"],
        log,
    ), port  # fmt: skip


def alertmanager(folder: Path, log: Path) -> tuple[Child, int] | None:
    """One that keeps alerts and tells nobody, and its port; None where it is not installed."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        return None
    config = folder / "alertmanager.yml"
    config.write_text(ROUTES, encoding="utf-8")
    port = free_port()
    return Child(
        [program, f"--config.file={config}", f"--storage.path={folder / 'alertmanager'}",
         f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="],
        log,
    ), port  # fmt: skip


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def get(port: int, path: str) -> Any:  # noqa: ANN401 - JSON
    """What a program answers as JSON; None when it does not, or not yet."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
    if answer.status != HTTPStatus.OK:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def wait_for(check: Callable[[], Any], seconds: float = READY_SECONDS) -> Any:  # noqa: ANN401 - whatever is waited for
    """What `check` returns once it is something; None after so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = check()
        if found:
            return found
        time.sleep(0.25)
    return None
