"""A real Prometheus on loopback, for end-to-end tests."""

import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest

CONFIG = """\
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: nibai
  static_configs: [{targets: ["%(target)s"]}]
- job_name: nibai-second
  static_configs: [{targets: ["%(target)s"]}]
"""
"""Scraped twice, as two replicas over one state are."""

READY_SECONDS = 60


class Prometheus:
    """What a started one answers."""

    def __init__(self, port):
        self.address = f"http://127.0.0.1:{port}"

    def query(self, expression):
        """Series of an instant query; AssertionError with its words when it is refused."""
        url = f"{self.address}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - our own address
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            if error.code >= 500:  # not ready yet
                raise
            raise AssertionError(f"{expression}: {error.read().decode()}") from error

    def wait_for(self, expression, seconds=READY_SECONDS):
        """Ask until there is an answer."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                found = self.query(expression)
            except OSError:
                found = []
            if found:
                return found
            time.sleep(0.2)
        raise AssertionError(f"no answer to {expression} in {seconds} s")


@contextmanager
def started(folder, target, *, native, config=CONFIG):
    """A Prometheus that scrapes `target`; skipped with a message where it is not installed.

    With `native` it asks for protobuf and keeps native histograms; without, it asks for text.
    """
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed (apt-get install prometheus)")
    (folder / "prometheus.yml").write_text(config % {"target": target})
    port = _free_port()
    features = ["--enable-feature=native-histograms"] if native else []
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                *features,
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(20)


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
