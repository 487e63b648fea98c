"""Sends the calls of a replay from a few threads and writes every outcome into the journal."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from nibai.errors import AuthError, CollectError, PluginError, ThrottledError
from nibai.protocols import Answer, ReplayInput, Target
from nibai.replaying.journal import Journal
from nibai.replaying.pace import Pace
from nibai.replaying.plan import VARIANTS, Call

LONGEST_REST_SECONDS = 300.0
"""A server that wants a longer rest ends the run instead; the next one goes on."""

FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
POLL_SECONDS = 0.05

Reader = Callable[[Answer], Mapping[str, object]]
"""A typed output as plain data; `invalid` holds the kind of an invalid one."""


class Stop(StrEnum):
    """Why a run ended before every call was answered."""

    BUDGET = "budget"
    FAILING = "failing"
    REFUSED = "refused"
    THROTTLED = "throttled"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Limits:
    """`budget` requests over all runs of a replay, `retries` of a call after its first try.

    `give_up_after` calls of a variant in a row without one valid answer end the run (0: never).
    """

    budget: int
    retries: int = 4
    give_up_after: int = 20


@dataclass(slots=True)
class Progress:
    """What this run has done so far; `failures` are failed tries by kind."""

    answered: int = 0
    tries: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    stop: Stop | None = None
    reason: str = ""


class Runner:
    """One run: `sleep(seconds)` returns True when the replay is to stop, as `stop` then is set."""

    def __init__(
        self,
        inputs: Sequence[ReplayInput],
        targets: Mapping[str, Target],
        *,
        reading: Reader,
        journal: Journal,
        pace: Pace,
        limits: Limits,
        stop: threading.Event,
        sleep: Callable[[float], bool],
    ) -> None:
        self._inputs = inputs
        self._targets = targets
        self._reading = reading
        self._journal = journal
        self._pace = pace
        self._limits = limits
        self._stop = stop
        self._sleep = sleep
        self._dice = random.Random(0)  # noqa: S311 - jitter
        self._lock = threading.Lock()
        self._barren: dict[str, list[int]] = {variant: [] for variant in VARIANTS}
        self._crash: BaseException | None = None
        self.progress = Progress()

    def run(
        self, calls: Iterable[Call], concurrency: int, tick: Callable[[Progress], None]
    ) -> Progress:
        """Send what the journal does not know yet; returns when all threads have ended.

        `tick` is called from this thread. An interrupt stops new requests, waits for those under
        way and is raised then; a second one is raised at once.
        """
        known = self._journal.answered | self._journal.in_flight
        waiting = (call for call in calls if call.number not in known)
        ended = [threading.Event() for _ in range(concurrency)]
        for one in ended:
            threading.Thread(target=self._work, args=(waiting, one), daemon=True).start()
        try:
            self._wait(ended, tick)
        except BaseException:
            self._halt(Stop.INTERRUPTED, "interrupted")
            self._wait(ended, tick)
            raise
        if self._crash is not None:
            raise self._crash
        return self.progress

    def _wait(self, ended: list[threading.Event], tick: Callable[[Progress], None]) -> None:
        # Not Thread.join: interrupted, CPython 3.11 takes the thread for dead and its answer is
        # lost (bpo-45274).
        for one in ended:
            while not one.wait(POLL_SECONDS):
                tick(self.progress)
        tick(self.progress)

    # -- one thread ---------------------------------------------------------------------------
    def _work(self, waiting: Iterator[Call], ended: threading.Event) -> None:
        try:
            while not self._stop.is_set():
                with self._lock:
                    call = next(waiting, None)
                if call is None:
                    return
                self._answer(call)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            self._crash = error
            self._stop.set()
        finally:
            ended.set()

    def _answer(self, call: Call) -> None:
        inputs = [self._inputs[i] for i in call.inputs]
        kind = problem = ""
        for attempt in range(self._limits.retries + 1):
            if (attempt and self._sleep(self._backoff(attempt))) or not self._start(call):
                return
            try:
                answers = self._targets[call.variant].send(inputs)
            except CollectError as error:
                kind, problem = error.reason, f": {error}"
                self._failed(call, error)
                if self._stop.is_set():
                    return
                if not error.retryable:
                    break
            else:
                self._record(call, _checked(answers, inputs))
                return
        self._record(call, [Answer(invalid=kind)] * len(inputs), problem)

    def _start(self, call: Call) -> bool:
        def prepare() -> bool:
            if self._stop.is_set():
                return False
            if self._journal.requests >= self._limits.budget:
                self._halt(Stop.BUDGET, f"the budget of {self._limits.budget:,} requests is spent")
                return False
            self._journal.sent(call.number)
            return True

        if not self._pace.turn(prepare, lambda: self._journal.unsent(call.number)):
            return False
        with self._lock:
            self.progress.tries += 1
        return True

    def _failed(self, call: Call, error: CollectError) -> None:
        self._journal.failed(call.number)
        with self._lock:
            self.progress.failures[error.reason] += 1
        if isinstance(error, AuthError):
            self._halt(Stop.REFUSED, f"{call.variant}: {error}")
        elif isinstance(error, ThrottledError) and error.retry_after_seconds is not None:
            if error.retry_after_seconds > LONGEST_REST_SECONDS:
                self._halt(Stop.THROTTLED, f"{call.variant}: {error}")
            else:
                self._pace.rest(error.retry_after_seconds)

    def _record(self, call: Call, answers: Sequence[Answer], problem: str = "") -> None:
        outputs = [self._reading(answer) for answer in answers]
        barren = self._barren[call.variant]
        with self._lock:
            if any(not output.get("invalid") for output in outputs):
                barren.clear()
            elif self.progress.stop is Stop.FAILING:
                self._journal.failed(call.number)  # as those before it
                return
            else:
                barren.append(call.number)
            self._journal.answers(call.number, outputs)
            self.progress.answered += 1
            if 0 < self._limits.give_up_after <= len(barren):
                kinds = sorted({str(output.get("invalid")) for output in outputs})
                self._give_up(call.variant, f"({', '.join(kinds)}){problem}")

    def _give_up(self, variant: str, why: str) -> None:
        """What failed in a row says more about the set-up than about the model: not kept."""
        barren = self._barren[variant]
        for number in barren:
            self._journal.failed(number)
        self.progress.answered -= len(barren)
        text = f"{variant}: {len(barren)} requests in a row without one valid answer {why}"
        self._halt(Stop.FAILING, text)
        barren.clear()

    def _halt(self, stop: Stop, reason: str) -> None:
        if self.progress.stop is None:
            self.progress.stop, self.progress.reason = stop, reason
        self._stop.set()

    def _backoff(self, attempt: int) -> float:
        longest = min(FIRST_BACKOFF_SECONDS * 2.0 ** (attempt - 1), LONGEST_BACKOFF_SECONDS)
        return longest * self._dice.uniform(0.5, 1.0)


def _checked(answers: Sequence[Answer], inputs: Sequence[ReplayInput]) -> Sequence[Answer]:
    if len(answers) != len(inputs):
        raise PluginError(
            f"the target gave {len(answers)} answers to {len(inputs)} inputs: a target gives one "
            "answer each (Answer(invalid=...) where there is none)"
        )
    return answers
