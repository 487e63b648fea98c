"""`nibai replay`: captured inputs in, pairs of answers out."""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from nibai import plugins
from nibai.errors import PluginError, UsageError
from nibai.protocols import Answer, CaptureReader, CaptureRequest, Captures, Target
from nibai.replaying.journal import Journal
from nibai.replaying.pace import Pace
from nibai.replaying.paths import MISSING, find
from nibai.replaying.plan import VARIANTS, Profile, calls, count_calls, most_inputs
from nibai.replaying.run import Limits, Progress, Reading, Runner
from nibai.replaying.tables import Tables, gather, tables

JOURNAL, PAIRS, NOISE, QUARANTINE = (
    "journal.jsonl",
    "pairs.parquet",
    "noise.parquet",
    "quarantine.jsonl",
)
RETRY_ALLOWANCE = 0.1
"""Share of the planned requests that the default budget leaves for retries."""


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What to replay; `rate` requests a second in all, None: as fast as the answers come.

    A variant is an address (`https://…`, `KIND:ADDRESS`), a mapping with `address` and options, or
    a function. `options` are for both. `price_usd` is per request.
    """

    captures: CaptureRequest
    baseline: Any
    candidate: Any
    out: Path
    options: Mapping[str, object] = field(default_factory=dict)
    profile: Profile = field(default_factory=Profile)
    rate: float | None = None
    budget: int | None = None
    price_usd: float | None = None
    budget_usd: float | None = None
    retries: int = 4
    give_up_after: int = 20
    label_path: str | None = None
    score_path: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay will send, said before the first request.

    `requests` in all, `left` of them still to send; `in_flight` calls of an earlier run whose
    answers will never be known; `usd` the price of what is left.
    """

    captures: Captures
    names: Mapping[str, str]
    profile: Profile
    requests: int
    left: int
    spent: int
    in_flight: int
    budget: int
    rate: float | None
    seconds: float | None
    usd: float | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay found; files are in `out`."""

    plan: Plan
    progress: Progress
    tables: Tables
    requests: int
    in_flight: int
    out: Path


class Replay:
    """One replay from its plan to its files; holds the folder until `close`."""

    def __init__(self, request: ReplayRequest) -> None:
        self._request = request
        self._captures = read_captures(request.captures)
        self._n = len(self._captures.inputs)
        self._targets = {
            variant: _target(getattr(request, variant), request, variant) for variant in VARIANTS
        }
        self._names = {variant: _described(getattr(request, variant))[0] for variant in VARIANTS}
        requests = count_calls(self._n, request.profile)
        self._budget = _budget(request, requests)
        self._journal = Journal(request.out / JOURNAL, self._settings())
        self._requests = requests

    @property
    def plan(self) -> Plan:
        """What is left to send."""
        request, journal = self._request, self._journal
        left = self._requests - len(journal.answered | journal.in_flight)
        return Plan(
            captures=self._captures,
            names=self._names,
            profile=request.profile,
            requests=self._requests,
            left=left,
            spent=journal.requests,
            in_flight=len(journal.in_flight),
            budget=self._budget,
            rate=request.rate,
            seconds=None if request.rate is None else left / request.rate,
            usd=None if request.price_usd is None else left * request.price_usd,
        )

    def run(
        self,
        clock: Callable[[], float],
        tick: Callable[[Progress], None] = lambda _progress: None,
    ) -> Replayed:
        """Send what is left and write the files; an interrupt is raised after they are written."""
        request, plan, stop = self._request, self.plan, threading.Event()
        _write_lines(request.out / QUARANTINE, self._captures.rejected)
        pace = Pace(1.0 / request.rate if request.rate else 0.0, clock, stop.wait)
        runner = Runner(
            self._captures.inputs,
            self._targets,
            reading=reading(request.label_path, request.score_path),
            journal=self._journal,
            pace=pace,
            limits=Limits(self._budget, request.retries, request.give_up_after),
            stop=stop,
            sleep=stop.wait,
        )
        try:
            runner.run(calls(self._n, request.profile), request.profile.concurrency, tick)
        finally:
            found = self._write()
        journal = self._journal
        return Replayed(
            plan, runner.progress, found, journal.requests, len(journal.in_flight), request.out
        )

    def close(self) -> None:
        """Let another process go on."""
        self._journal.close()

    def _write(self) -> Tables:
        profile, out = self._request.profile, self._request.out
        outputs = self._journal.outputs()
        answers = gather(calls(self._n, profile), outputs, self._n, profile)
        found = tables(self._captures.inputs, answers, profile)
        for name, table in ((PAIRS, found.pairs), (NOISE, found.noise)):
            fresh = out / f"{name}.new"
            pq.write_table(table, fresh)
            fresh.replace(out / name)
        return found

    def _settings(self) -> dict[str, object]:
        """What must not change between the runs of one replay."""
        request, profile = self._request, self._request.profile
        return {
            "inputs": self._captures.digest,
            "baseline": _identity(request.baseline),
            "candidate": _identity(request.candidate),
            "target options": _digest(request.options),
            "repeats": profile.repeats,
            "batch": profile.batch,
            "concurrency": profile.concurrency,
            "seed": profile.seed,
            "label path": request.label_path,
            "score path": request.score_path,
        }


def read_captures(request: CaptureRequest) -> Captures:
    """The captured inputs, by the installed reader."""
    reader = plugins.load("nibai.readers", "captures")
    if not isinstance(reader, CaptureReader):
        raise PluginError("the plug-in 'captures' in nibai.readers reads no captures: reinstall")
    return reader.read(request)


def reading(label_path: str | None, score_path: str | None) -> Reading:
    """How an answer becomes a label and a score."""

    def read(answer: Answer) -> Mapping[str, object]:
        if answer.invalid:
            return {"invalid": answer.invalid}
        label = find(answer.payload, label_path or "")
        if label is MISSING or label is None:
            return {"invalid": "no_label"}
        text = label if isinstance(label, str) else json.dumps(label, sort_keys=True)
        found: dict[str, object] = {"label": text}
        if score_path is not None:
            score = find(answer.payload, score_path)
            if isinstance(score, bool) or not isinstance(score, int | float):
                return {"invalid": "no_score"}
            if not math.isfinite(score):
                return {"invalid": "nan"}
            found["score"] = float(score)
        return found

    return read


# -- targets ----------------------------------------------------------------------------------


def _described(given: Any) -> tuple[str, str, Mapping[str, object]]:  # noqa: ANN401 - see ReplayRequest
    """(name to print, kind, options) of a variant as it was given."""
    if callable(given):
        name = f"python:{getattr(given, '__module__', '?')}:{getattr(given, '__qualname__', '?')}"
        return name, "python", {"address": given}
    options = dict(given) if isinstance(given, Mapping) else {"address": given}
    address = options.get("address")
    if not isinstance(address, str) or ":" not in address:
        raise UsageError(
            f"{address!r} is no target: give an address (https://…) or KIND:ADDRESS; kinds: "
            f"{', '.join(_kinds())}"
        )
    kind, _, rest = address.partition(":")
    if kind in {"http", "https"}:
        return address.partition("?")[0], "http", options
    return address.partition("?")[0], kind, {**options, "address": rest}


def _target(given: Any, request: ReplayRequest, variant: str) -> Target:  # noqa: ANN401 - see ReplayRequest
    name, kind, options = _described(given)
    if kind not in _kinds():
        raise UsageError(
            f"--{variant} {name}: no target is called {kind!r}: give an address (https://…) or "
            f"KIND:ADDRESS; kinds: {', '.join(_kinds())}"
        )
    merged = {"batch": request.profile.batch, **request.options, **options}
    target = plugins.load("nibai.targets", kind, merged)
    if not isinstance(target, Target):
        raise PluginError(f"plug-in {kind!r} in nibai.targets has no send method")
    return target


def _kinds() -> list[str]:
    return [entry.name for entry in plugins.registered("nibai.targets")]


def _identity(given: Any) -> str:  # noqa: ANN401 - see ReplayRequest
    name, _, options = _described(given)
    plain = {key: value for key, value in options.items() if not callable(value)}
    return f"{name} #{_digest(plain)}"


def _digest(options: Mapping[str, object]) -> str:
    text = json.dumps(options, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


# -- money ------------------------------------------------------------------------------------


def _budget(request: ReplayRequest, requests: int) -> int:
    """The most requests that may be sent; UsageError when the plan does not fit."""
    budget = request.budget
    if budget is None:
        budget = requests + math.ceil(RETRY_ALLOWANCE * requests)
    said = f"the budget of {budget:,} requests (--budget)"
    if request.budget_usd is not None:
        if request.price_usd is None:
            raise UsageError("--budget-usd needs --price, the price of one request")
        affordable = math.floor(request.budget_usd / request.price_usd + 1e-9)
        if affordable < budget:
            budget = affordable
            said = f"${request.budget_usd:,g}, which pays {budget:,} requests (--budget-usd)"
    if requests > budget:
        fit = most_inputs(budget, request.profile)
        remedy = f"take fewer inputs (--sample {fit})" if fit else "send larger batches"
        raise UsageError(
            f"the plan needs {requests:,} requests, more than {said}: raise it, or {remedy}"
        )
    return budget


def _write_lines(path: Path, rows: tuple[Mapping[str, object], ...]) -> None:
    if rows:
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        path.write_text("".join(lines), encoding="utf-8", errors="backslashreplace")
