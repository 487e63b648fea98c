"""Child processes of the demo: started by handle, always stopped, never anybody else's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from nibai.errors import CollectError

NIBAI = [sys.executable, "-c", "from nibai.cli import main; main()"]
START_SECONDS = 60.0
STOP_SECONDS = 60.0


class Child:
    """One child process; leaving the `with` block ends it in any case.

    It runs in a session of its own, so that Ctrl-C reaches the demo, which then stops its children.
    """

    def __init__(self, command: list[str], log: Path) -> None:
        self._log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
            )

    def line(self) -> str:
        """The next line it prints; CollectError when it ended instead."""
        assert self.process.stdout is not None  # noqa: S101 - opened as a pipe above
        text = self.process.stdout.readline().decode().strip()
        if not text:
            self.process.wait(STOP_SECONDS)
            raise CollectError(
                f"a process of the demo ended with {self.process.returncode}: see {self._log}"
            )
        return text

    def stop(self) -> None:
        """Ask it to end (SIGTERM); the rest of its output can still be read."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Its exit code."""
        return self.process.wait(STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


class Receiver(Child):
    """nibai's own receiver, as a user would start it; `more` are further options of `nibai run`."""

    def __init__(self, data: Path, log: Path, *more: str) -> None:
        ready = data / "receiver.url"
        ready.unlink(missing_ok=True)
        super().__init__(
            [*NIBAI, "run", "--data", str(data), "--listen", "127.0.0.1:0",
             "--ready-file", str(ready), *more],
            log,
        )  # fmt: skip
        self._ready = ready

    def url(self) -> str:
        """Where it listens, once it does."""
        deadline = time.monotonic() + START_SECONDS
        while not self._ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise CollectError(f"nibai run did not start: see {self._log}")
            time.sleep(0.02)
        return self._ready.read_text(encoding="utf-8")


class Replica(Child):
    """One replica of the service."""

    def __init__(
        self,
        variant: str,
        name: str,
        files: dict[str, Path],
        otlp: str,
        log: Path,
        *,
        endpoint: str | None = None,
    ) -> None:
        command = [sys.executable, "-P", "-m", "demo.service", "--variant", variant]
        command += ["--replica", name, "--otlp", otlp]
        for option, path in files.items():
            command += [f"--{option}", str(path)]
        command += ["--endpoint", endpoint] if endpoint else []
        super().__init__(command, log)
        self.variant = variant
        self.name = name

    def port(self) -> int:
        """Its port, once the model is loaded."""
        return int(self.line())

    def sent(self) -> tuple[int, int]:
        """After `stop`: requests measured, and answers in batches.

        CollectError when spans stayed behind.
        """
        report = json.loads(self.line())
        self.wait()
        if not report["flushed"]:
            raise CollectError(f"{self.name} could not deliver its spans: see {self._log}")
        return int(report["requests"]), int(report["answers"])


def nibai(*arguments: str) -> tuple[int, str, str]:
    """Run a nibai command as a user would; its exit code, output and what it says beside it.

    Errors are passed on.
    """
    done = subprocess.run(  # noqa: S603 - our own program
        [*NIBAI, *arguments],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    if done.returncode not in (0, 1, 3):
        raise CollectError(f"nibai {arguments[0]} ended with {done.returncode}: {done.stderr}")
    return done.returncode, done.stdout, done.stderr
