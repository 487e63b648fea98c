"""The traffic: rounds of fresh replicas, every text to both variants, one request at a time."""

from __future__ import annotations

import itertools
import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from demo.processes import Replica
from nibai.errors import CollectError

WARM_UP = 20
"""Unmeasured requests per replica and segment, in every round."""

CONTROL_SHARE = 3
"""Every third text also goes to the second fp32 replica, the A/A control."""

NO_OP_CALLS = 200
STALL_SECONDS = (0.035, 0.050)
STALLED_SHARE = 0.02

VARIANTS = ("fp32", "candidate", "control")


@dataclass(frozen=True, slots=True)
class Plan:
    """What every round does; `names` are the variants' names in the lake, by role."""

    names: dict[str, str]
    files: dict[str, dict[str, Path]]
    segments: dict[str, tuple[str, ...]]
    round_seconds: float
    seed: int


@dataclass(slots=True)
class Sent:
    """Requests by replica, and failures seen by the client."""

    by_replica: dict[str, int] = field(default_factory=dict)
    failures: int = 0

    @property
    def total(self) -> int:
        """All measured requests."""
        return sum(self.by_replica.values())


class Client:
    """One kept connection without Nagle's algorithm."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def classify(self, text: str, segment: str, request_id: str, *, warm_up: bool = False) -> bool:
        """Send one text; whether it was answered."""
        headers = {"content-type": "application/json", "x-segment": segment}
        headers |= {"x-warm-up": "1"} if warm_up else {"x-request-id": request_id}
        body = json.dumps({"texts": [text]})
        self._connection.request("POST", "/v1/classify", body, headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status == 200  # noqa: PLR2004 - HTTP OK

    def no_op_seconds(self) -> float:
        """How long the route takes that does nothing."""
        start = time.perf_counter()
        self._connection.request("GET", "/no-op")
        self._connection.getresponse().read()
        return time.perf_counter() - start

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def check_set_up(plan: Plan, otlp: str, log: Path) -> str | None:
    """Time the no-op route: a defect of the set-up in words, None when there is none.

    Calls of 35 to 50 ms are delayed acknowledgements meeting Nagle's algorithm, not inference.
    """
    with Replica("check", "check", plan.files["fp32"], otlp, log) as replica:
        client = Client(replica.port())
        times = [client.no_op_seconds() for _ in range(NO_OP_CALLS)]
        client.close()
        replica.stop()
        replica.sent()
    stalled = sum(STALL_SECONDS[0] <= seconds <= STALL_SECONDS[1] for seconds in times)
    if stalled <= STALLED_SHARE * NO_OP_CALLS:
        return None
    return f"{stalled} of {NO_OP_CALLS} empty calls took 35 to 50 ms (delayed acknowledgements)"


def run_round(
    number: int, plan: Plan, otlp: str, *, log: Path, sent: Sent, tick: Callable[[], None]
) -> None:
    """Start the three replicas afresh, warm up, send for the round's time, stop, count."""
    dice = random.Random(plan.seed * 1000 + number)  # noqa: S311 - reproducible order
    order = list(VARIANTS)
    dice.shuffle(order)
    with ExitStack() as stack:
        replicas = {}
        for role in order:
            name = f"{plan.names[role]}-r{number}"
            replica = Replica(plan.names[role], name, plan.files[role], otlp, log)
            replicas[role] = stack.enter_context(replica)
        clients = {role: Client(replicas[role].port()) for role in order}
        texts = _interleaved(plan, dice, number)
        for role in order:
            _warm_up(clients[role], plan)
        counts = _send(clients, texts, dice, seconds=plan.round_seconds, number=number, tick=tick)
        sent.failures += counts.pop("failed")
        for role in order:
            clients[role].close()
            replicas[role].stop()
        for role in order:
            measured = replicas[role].sent()
            if measured != counts[role]:
                raise CollectError(
                    f"{replicas[role].name} measured {measured} of {counts[role]} requests: "
                    f"see {log}"
                )
            sent.by_replica[replicas[role].name] = measured


def _send(
    clients: dict[str, Client],
    texts: Iterator[tuple[int, str, str]],
    dice: random.Random,
    *,
    seconds: float,
    number: int,
    tick: Callable[[], None],
) -> dict[str, int]:
    """Send until the time is up; a text goes to both variants, in random order.

    Requests by role, and those that were not answered as "failed".
    """
    counts = dict.fromkeys((*VARIANTS, "failed"), 0)
    # The same share of every segment goes to the control, fixed before the round starts.
    offset = dice.randrange(CONTROL_SHARE)
    end = time.perf_counter() + seconds
    for index, segment, text in texts:
        if time.perf_counter() >= end:
            break
        roles = ["fp32", "candidate"]
        if index % CONTROL_SHARE == offset:
            roles.append("control")
        dice.shuffle(roles)
        for role in roles:
            answered = clients[role].classify(text, segment, f"r{number}-{segment}-{index}")
            counts[role] += 1
            counts["failed"] += not answered
        tick()
    return counts


def _warm_up(client: Client, plan: Plan) -> None:
    for segment, texts in plan.segments.items():
        for text in itertools.islice(itertools.cycle(texts), WARM_UP):
            client.classify(text, segment, "", warm_up=True)


def _interleaved(plan: Plan, dice: random.Random, number: int) -> Iterator[tuple[int, str, str]]:
    """(index in the segment, segment, text); segments take turns, each round has its own texts."""
    streams = {}
    for segment, texts in plan.segments.items():
        shuffled = list(texts)
        random.Random(plan.seed).shuffle(shuffled)  # noqa: S311 - reproducible order
        start = number * 997 % len(shuffled)
        streams[segment] = itertools.cycle(shuffled[start:] + shuffled[:start])
    for index in itertools.count():
        names = list(streams)
        dice.shuffle(names)
        for segment in names:
            yield index, segment, next(streams[segment])
