"""`nibai replay`: captured inputs in, pairs of answers out."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from nibai import plugins
from nibai.app.compare import compare_files
from nibai.app.kinds import change_kinds
from nibai.app.replay_targets import Described, describe, make_target, short_digest
from nibai.claims import parse
from nibai.errors import PluginError, UsageError
from nibai.model import Audit, Change, Promise
from nibai.outputs import OutputKind
from nibai.protocols import CaptureReader, CaptureRequest, Captures, PairsRequest
from nibai.replaying.journal import Journal
from nibai.replaying.pace import Pace
from nibai.replaying.plan import VARIANTS, Profile, calls, count_calls, most_inputs
from nibai.replaying.reading import CHAT, Reading
from nibai.replaying.run import Limits, Progress, Runner
from nibai.replaying.tables import Tables, gather, tables
from nibai.stats.flip_margins import KindMargins, margins_of

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

    A variant is what `nibai.app.replay_targets.describe` takes; `options` are for both. `price_usd`
    is per request. `output`, `labels`, `threshold` and `tolerance` say how answers are read and
    judged, as in `nibai compare`; `keep_texts`: texts themselves, not digests.
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
    output: str | None = None
    labels: tuple[str, ...] = ()
    threshold: float | None = None
    tolerance: float | None = None
    keep_texts: bool = False
    claims: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay will send, said before the first request.

    `requests` in all, `left` of them still to send; `in_flight` calls of an earlier run whose
    answers will never be known; `usd` the price of what is left; `wanted` what the claim asks for.
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
    wanted: KindMargins | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay found; files are in `out`."""

    plan: Plan
    progress: Progress
    tables: Tables
    requests: int
    in_flight: int
    pairs: PairsRequest


class Replay:
    """One replay from its plan to its files; holds the folder until `close`."""

    def __init__(self, request: ReplayRequest) -> None:
        self._request = request
        self._captures = read_captures(request.captures)
        self._n = len(self._captures.inputs)
        variants = {variant: describe(getattr(request, variant), variant) for variant in VARIANTS}
        self._variants = variants
        self._reading = _reading(request, variants)
        self._wanted = wanted_inputs(request.claims, request.kinds)
        self._targets = {
            variant: make_target(one, variant, request.profile.batch, request.options)
            for variant, one in variants.items()
        }
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
            names={variant: one.name for variant, one in self._variants.items()},
            profile=request.profile,
            requests=self._requests,
            left=left,
            spent=journal.requests,
            in_flight=len(journal.in_flight),
            budget=self._budget,
            rate=request.rate,
            seconds=None if request.rate is None else left / request.rate,
            usd=None if request.price_usd is None else left * request.price_usd,
            wanted=self._wanted,
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
            reading=self._reading,
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
            plan=plan,
            progress=runner.progress,
            tables=found,
            requests=journal.requests,
            in_flight=len(journal.in_flight),
            pairs=self._pairs(),
        )

    def close(self) -> None:
        """Let another process go on."""
        self._journal.close()

    def _write(self) -> Tables:
        profile, out = self._request.profile, self._request.out
        journal, every = self._journal, calls(self._n, profile)
        answers = gather(every, journal.outputs(), journal.in_flight, self._n, profile)
        found = tables(self._captures.inputs, answers, profile)
        for name, table in ((PAIRS, found.pairs), (NOISE, found.noise)):
            fresh = out / f"{name}.new"
            pq.write_table(table, fresh)
            fresh.replace(out / name)
        return found

    def _pairs(self) -> PairsRequest:
        request = self._request
        return PairsRequest(
            sources=(str(request.out / PAIRS),),
            noise=(str(request.out / NOISE),),
            output=self._reading.written,
            labels=request.labels,
            threshold=request.threshold,
            tolerance=request.tolerance,
        )

    def _settings(self) -> dict[str, object]:
        """What must not change between the runs of one replay."""
        request, profile = self._request, self._request.profile
        return {
            "inputs": self._captures.digest,
            **{variant: one.identity for variant, one in self._variants.items()},
            "target options": short_digest(request.options),
            "repeats": profile.repeats,
            "batch": profile.batch,
            "concurrency": profile.concurrency,
            "seed": profile.seed,
            "output": self._reading.output,
            "labels": list(request.labels),
            "threshold": request.threshold,
            "kept texts": request.keep_texts,
        }


def read_captures(request: CaptureRequest) -> Captures:
    """The captured inputs, by the installed reader."""
    reader = plugins.load("nibai.readers", "captures")
    if not isinstance(reader, CaptureReader):
        raise PluginError("the plug-in 'captures' in nibai.readers reads no captures: reinstall")
    return reader.read(request)


def _reading(request: ReplayRequest, variants: Mapping[str, Described]) -> Reading:
    chat = all(one.kind == "openai" for one in variants.values())
    output = request.output or (CHAT if chat else OutputKind.CLASS)
    return Reading(output, request.labels, request.threshold, request.keep_texts)


def judge(
    found: Replayed,
    claims: Sequence[str],
    kinds: Sequence[str],
    *,
    level: float,
    clock: Callable[[], float],
) -> Audit:
    """The claims about the answers, as `nibai compare --pairs` judges them."""
    return compare_files(None, claims, level=level, clock=clock, pairs=found.pairs, kinds=kinds)


def wanted_inputs(claims: Sequence[str], kinds: Sequence[str]) -> KindMargins | None:
    """The strictest margins of the claims about predictions; None where none is known.

    >>> wanted_inputs(["same predictions"], ["int8"]).pairs
    3000
    """
    found, evidence = change_kinds(kinds)
    change = Change(id="replay", endpoint="replay", kinds=found, evidence=evidence)
    parts = [part for text in claims for part in parse(text).parts]
    about = [part for part in parts if part.promise is Promise.SAME_PREDICTIONS]
    margins = [known for part in about if (known := margins_of(change, part)) is not None]
    return min(margins, key=lambda one: one.flips, default=None)


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
