"""The traffic: rounds of fresh replicas, every text to both variants, one request at a time.

The replicas of the last round answer once more before they stop, in batches: those are answers and
no measurements.
"""

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

BATCH = 8
"""Texts that are computed together in the pass of batches."""

CHUNK = 4 * BATCH
"""Texts of one segment that are grouped at random, twice."""

GROUPINGS = 2
BATCH_SOURCE = "replay:batches"

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
    truth: dict[str, str]
    round_seconds: float
    batch_seconds: float
    seed: int


@dataclass(slots=True)
class Sent:
    """Requests by replica, answers by variant and batch, and failures seen by the client."""

    by_replica: dict[str, int] = field(default_factory=dict)
    answers: dict[tuple[str, int], int] = field(default_factory=dict)
    failures: int = 0

    @property
    def total(self) -> int:
        """All measured requests."""
        return sum(self.by_replica.values())

    @property
    def batched(self) -> int:
        """Answers that were computed in batches."""
        return sum(count for (_, batch), count in self.answers.items() if batch > 1)


class Client:
    """One kept connection without Nagle's algorithm."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def classify(self, text: str, segment: str, request_id: str, truth: str) -> bool:
        """Send one text; whether it was answered."""
        headers = {"x-segment": segment, "x-id": request_id, "x-truth": truth}
        return self._post("/v1/classify", {"texts": [text]}, headers)

    def warm_up(self, text: str) -> None:
        """Send one text that is not measured."""
        self._post("/v1/classify", {"texts": [text]}, {"x-warm-up": "1"})

    def answers(self, items: list[dict[str, str]], repeat: int) -> bool:
        """Send texts to be answered together; whether they were."""
        given = {"items": items, "repeat": repeat, "source": BATCH_SOURCE}
        return self._post("/v1/answers", given, {})

    def _post(self, path: str, body: dict[str, object], headers: dict[str, str]) -> bool:
        headers = {"content-type": "application/json", **headers}
        self._connection.request("POST", path, json.dumps(body), headers)
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
    number: int,
    plan: Plan,
    otlp: str,
    *,
    log: Path,
    sent: Sent,
    tick: Callable[[], None],
    last: bool = False,
) -> None:
    """Start the three replicas afresh, warm up, send for the round's time, stop, count.

    The last round is followed by the pass of batches.
    """
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
        counts = _send(clients, texts, dice, plan, number=number, tick=tick)
        sent.failures += counts.pop("failed")
        batched = _send_batches(clients, plan, dice, tick) if last else {}
        for role in order:
            clients[role].close()
            replicas[role].stop()
        for role in order:
            measured, answered = replicas[role].sent()
            if (measured, answered) != (counts[role], batched.get(role, 0)):
                raise CollectError(
                    f"{replicas[role].name} measured {measured} of {counts[role]} requests and "
                    f"answered {answered} of {batched.get(role, 0)} texts in batches: see {log}"
                )
            sent.by_replica[replicas[role].name] = measured
            for batch, count in ((1, measured), (BATCH, answered)):
                if count:
                    key = (plan.names[role], batch)
                    sent.answers[key] = sent.answers.get(key, 0) + count


def _send(
    clients: dict[str, Client],
    texts: Iterator[tuple[int, str, str]],
    dice: random.Random,
    plan: Plan,
    *,
    number: int,
    tick: Callable[[], None],
) -> dict[str, int]:
    """Send until the time is up; a text goes to both variants, in random order.

    Requests by role, and those that were not answered as "failed".
    """
    counts = dict.fromkeys((*VARIANTS, "failed"), 0)
    # The same share of every segment goes to the control, fixed before the round starts.
    offset = dice.randrange(CONTROL_SHARE)
    end = time.perf_counter() + plan.round_seconds
    for index, segment, text in texts:
        if time.perf_counter() >= end:
            break
        roles = ["fp32", "candidate"]
        if index % CONTROL_SHARE == offset:
            roles.append("control")
        dice.shuffle(roles)
        for role in roles:
            request_id = f"r{number}-{segment}-{index}"
            answered = clients[role].classify(text, segment, request_id, plan.truth[text])
            counts[role] += 1
            counts["failed"] += not answered
        tick()
    return counts


def _send_batches(
    clients: dict[str, Client], plan: Plan, dice: random.Random, tick: Callable[[], None]
) -> dict[str, int]:
    """Chunks of texts to both variants, each grouped at random twice: answers by role.

    The same groups go to both variants; the second grouping gives every text other batch-mates.
    """
    counts = {"fp32": 0, "candidate": 0}
    end = time.perf_counter() + plan.batch_seconds
    for chunk in _chunks(plan, dice):
        if time.perf_counter() >= end:
            break
        for repeat in range(GROUPINGS):
            dice.shuffle(chunk)
            for start in range(0, CHUNK, BATCH):
                group = chunk[start : start + BATCH]
                for role in dice.sample(list(counts), len(counts)):
                    if clients[role].answers(group, repeat):
                        counts[role] += len(group)
                    tick()
    return counts


def _chunks(plan: Plan, dice: random.Random) -> Iterator[list[dict[str, str]]]:
    """Texts of one segment after the other in full chunks, none of them twice."""
    orders = {name: dice.sample(texts, len(texts)) for name, texts in plan.segments.items()}
    for start in range(0, max(map(len, orders.values())) - CHUNK + 1, CHUNK):
        for segment, texts in orders.items():
            chunk = texts[start : start + CHUNK]
            if len(chunk) == CHUNK:
                yield [
                    {"text": text, "segment": segment, "id": f"b-{segment}-{start + i}",
                     "truth": plan.truth[text]}
                    for i, text in enumerate(chunk)
                ]  # fmt: skip


def _warm_up(client: Client, plan: Plan) -> None:
    for texts in plan.segments.values():
        for text in itertools.islice(itertools.cycle(texts), WARM_UP):
            client.warm_up(text)


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
