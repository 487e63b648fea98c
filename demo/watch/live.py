"""The live model: both variants measured side by side, and one that goes on serving."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from demo.processes import Replica
from demo.traffic import WARM_UP, Client, Plan
from demo.watch.lapse import Latency

MEASURED = ("fp32", "candidate")


def measure(plan: Plan, url: str, log: Path, seconds: float) -> dict[str, list[Latency]]:
    """What was measured by role: every text to both variants, one request at a time."""
    found: dict[str, list[Latency]] = {role: [] for role in MEASURED}
    with ExitStack() as stack:
        clients = {}
        for role in MEASURED:
            name = plan.names[role]
            replica = Replica(name, f"{name}-measured", plan.files[role], url, log)
            clients[role] = Client(stack.enter_context(replica).port())
            stack.callback(clients[role].close)
        requests = texts_in_turn(plan)
        for number, (segment, text) in enumerate(requests):
            if number == WARM_UP:
                begun = time.perf_counter()
            for role in MEASURED if number % 2 else reversed(MEASURED):
                start = time.perf_counter()
                clients[role].classify(text, segment, f"m-{number}", plan.truth[text])
                if number >= WARM_UP:
                    found[role].append((segment, time.perf_counter() - start))
            if number > WARM_UP and time.perf_counter() - begun >= seconds:
                break
    return found


def texts_in_turn(plan: Plan) -> Iterator[tuple[str, str]]:
    """(segment, text) without end; segments take turns."""
    streams = {name: itertools.cycle(found) for name, found in plan.segments.items()}
    while True:
        for name, stream in streams.items():
            yield name, next(stream)


class Serving:
    """The candidate goes on serving, a few requests a second, until the `with` block is left."""

    def __init__(self, plan: Plan, url: str, log: Path, *, endpoint: str, variant: str) -> None:
        self._plan = plan
        files = plan.files["candidate"]
        self._replica = Replica(variant, "live", files, url, log, endpoint=endpoint)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def _send(self) -> None:
        client = Client(self._replica.port())
        for number, (segment, text) in enumerate(texts_in_turn(self._plan)):
            if self._stopping.wait(0.1):
                break
            client.classify(text, segment, f"live-{number}", self._plan.truth[text])
        client.close()

    def __enter__(self) -> Self:
        self._replica.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join(30)
        self._replica.stop()
        self._replica.__exit__(kind, error, trace)
