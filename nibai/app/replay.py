"""`nibai replay`: captured inputs in, pairs of answers out."""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from nibai import plugins
from nibai.app.compare import compare_files
from nibai.app.kinds import change_kinds
from nibai.app.replay_request import DEFAULT_RATE, Plan, Replayed, ReplayRequest, planned_budget
from nibai.app.replay_targets import Described, describe, make_target, short_digest
from nibai.claims import parse
from nibai.errors import PluginError, StoreError, UsageError
from nibai.model import Audit, Change, Promise
from nibai.outputs import OutputKind
from nibai.protocols import CaptureReader, CaptureRequest, Captures, PairsRequest
from nibai.replaying.journal import Journal
from nibai.replaying.pace import Pace
from nibai.replaying.plan import MIN_REPEATS, VARIANTS, Profile, calls, count_calls
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
RAW_KINDS = ("http", "sagemaker", "python")
"""Targets that can send an input as it was captured, whatever it is."""


class Replay:
    """One replay from its plan to its files; holds the folder until `close`."""

    def __init__(self, request: ReplayRequest) -> None:
        self._request = request
        variants = {variant: describe(getattr(request, variant), variant) for variant in VARIANTS}
        self._variants = variants
        self._captures = read_captures(
            replace(request.captures, binary=_takes_binary(request, variants))
        )
        self._n = len(self._captures.inputs)
        self._reading = _reading(request, variants)
        self._wanted = wanted_inputs(request.claims, request.kinds)
        self._targets = {
            variant: make_target(one, variant, request.profile.batch, request.options)
            for variant, one in variants.items()
        }
        requests = count_calls(self._n, request.profile)
        self._budget = planned_budget(request, requests)
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
        try:
            for name, table in ((PAIRS, found.pairs), (NOISE, found.noise)):
                fresh = out / f"{name}.new"
                pq.write_table(table, fresh)
                fresh.replace(out / name)
            _write_lines(out / QUARANTINE, self._captures.rejected)
        except OSError as error:
            raise StoreError(
                f"{out}: cannot be written ({error.strerror}): make room, then run the same "
                "command again; nothing that was answered is lost"
            ) from error
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


def replay(
    inputs: Any,  # noqa: ANN401 - a path, or the inputs themselves
    baseline: Any,  # noqa: ANN401 - see nibai.app.replay_targets.describe
    candidate: Any,  # noqa: ANN401 - the same
    *,
    out: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    sample: int | None = None,
    repeats: int = MIN_REPEATS,
    batch: int = 1,
    concurrency: int = 4,
    seed: int = 0,
    rate: float | None = None,
    tick: Callable[[Progress], None] = lambda _progress: None,
    **options: Any,  # noqa: ANN401 - further fields of ReplayRequest
) -> Replayed:
    """Send inputs through both variants, as `nibai replay` does, without asking.

    `inputs` is a file, or a list of inputs or of mappings with the columns of a file. A variant is
    a function from a list of inputs to a list of answers, an address (`https://…`,
    `sagemaker:ENDPOINT/VARIANT`, `openai:https://…`) or a mapping of `address` and options. `rate`
    is in requests a second; None: 10 to addresses, functions as fast as they answer. With `out` the
    replay goes on where it was killed. Further options: `options` (of both targets), `output`,
    `labels`, `threshold`, `keep_texts`, `budget`, `price_usd`, `budget_usd`, `retries`,
    `give_up_after`.

    Raises UsageError for what cannot be sent, CollectError when the replay ended early.

    >>> import nibai
    >>> old = new = lambda texts: [len(text) % 2 for text in texts]
    >>> found = nibai.replay([f"text {i}" for i in range(500)], old, new, batch=50)
    >>> pairs, noise = found.tables.pairs, found.tables.noise
    >>> audit = nibai.compare(pairs=pairs, noise=noise, claims="same predictions within 2%")
    >>> len(pairs), audit.verdict.value
    (500, 'confirmed')
    """
    if rate is None and not (callable(baseline) and callable(candidate)):
        rate = DEFAULT_RATE
    source = inputs if isinstance(inputs, list | tuple) else str(inputs)
    with contextlib.ExitStack() as stack:
        folder = out or stack.enter_context(tempfile.TemporaryDirectory(prefix="nibai-replay-"))
        request = ReplayRequest(
            CaptureRequest(source, columns or {}, sample, seed),
            baseline,
            candidate,
            Path(folder),
            profile=Profile(repeats, batch, concurrency, seed),
            rate=rate,
            **_known(options),
        )
        running = stack.enter_context(contextlib.closing(Replay(request)))
        found = running.run(time.monotonic, tick)
    if found.stopped is not None:
        raise found.stopped
    return found


def _known(options: dict[str, Any]) -> dict[str, Any]:
    fields = ReplayRequest.__dataclass_fields__
    free = sorted(set(fields) - {"captures", "baseline", "candidate", "out", "profile", "rate"})
    unknown = sorted(set(options) - set(free))
    if unknown:
        raise UsageError(f"replay() has no option {unknown[0]!r}; there are {', '.join(free)}")
    return options | ({"labels": tuple(options["labels"])} if "labels" in options else {})


def read_captures(request: CaptureRequest) -> Captures:
    """The captured inputs, by the installed reader."""
    reader = plugins.load("nibai.readers", "captures")
    if not isinstance(reader, CaptureReader):
        raise PluginError("the plug-in 'captures' in nibai.readers reads no captures: reinstall")
    return reader.read(request)


def _takes_binary(request: ReplayRequest, variants: Mapping[str, Described]) -> bool:
    """Whether both targets send an input that is no text as it is."""
    alone = request.profile.batch == 1
    raw = (one.kind in RAW_KINDS and "body" not in {**request.options, **one.options}
           for one in variants.values())  # fmt: skip
    return alone and all(raw)


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


def _write_lines(path: Path, rows: tuple[Mapping[str, object], ...]) -> None:
    if rows:
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        path.write_text("".join(lines), encoding="utf-8", errors="backslashreplace")
