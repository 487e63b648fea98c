"""`nibai audit fleet`: one promise on many endpoints, read together, judged like each alone."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import date

import nibai
from nibai.app.audit import Desk
from nibai.app.compare import load_analyzers
from nibai.app.costs import claims_cost
from nibai.audit import judge
from nibai.claims import parse
from nibai.conventions import COUNTED_METRICS, INSTANCES, TOKENS
from nibai.document import iso
from nibai.errors import UsageError
from nibai.fleet import DEFAULT_Q, EndpointResult, FleetAudit, endpoint_result, fleet_audit
from nibai.fleet_document import to_document
from nibai.model import Change, Comparison, Side, Window
from nibai.predictions import CaptureGap
from nibai.protocols import Analyzer
from nibai.stats.sides import pooled_segments, requests
from nibai.store.lake.delta import Lake
from nibai.store.lake.maintenance import ROLL_UP
from nibai.store.series.fleet import FleetEngine
from nibai.store.state.capture_hours import capture_gaps
from nibai.store.windows.disturbances import Disturbance, disturbances
from nibai.store.windows.sides import LakeWindows
from nibai.store.windows.stated import require_sides
from nibai.store.windows.unread import NOTHING_PULLED, Reads

CHUNK = 50
"""Endpoints that are read together: some ten thousand histogram rows each stay in memory."""

WORTH_A_PROCESS = 100
"""Endpoints per further process: starting one takes as long as judging a few dozen."""

FLEET = "fleet"

NOT_REPLAYED = (
    "A/A rate: not measured; endpoints were not judged by their own past (--history does that, "
    "and windows under 6 h need it)"
)

Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class Judge:
    """How endpoints are judged: by their own `history` too, or not.

    `others`: what else moved an endpoint's traffic; `gaps`: hours in which its captures are
    incomplete; `reads`: until when it was read.
    """

    level: float
    others: Mapping[str, tuple[Disturbance, ...]] = field(default_factory=dict)
    history: bool = False
    gaps: Mapping[str, tuple[CaptureGap, ...]] = field(default_factory=dict)
    reads: Mapping[str, Reads] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which endpoints, and what happened to them.

    Without `at` and `windows`: declared changes, of these kinds, in effect since a time. With
    either: every endpoint of the lake before and after a moment, or over two windows.
    """

    kinds: tuple[str, ...] = ()
    since: float | None = None
    at: float | None = None
    windows: tuple[Window, Window] | None = None

    @property
    def text(self) -> str:
        """The selection in words."""
        if self.at is not None:
            return f"every endpoint, before and after {_iso(self.at)}"
        if self.windows is not None:
            spans = [f"{_iso(w.start)}/{_iso(w.end)}" for w in self.windows]
            return f"every endpoint, {spans[0]} against {spans[1]}"
        kind = f" of kind {' or '.join(self.kinds)}" if self.kinds else ""
        since = f" since {_iso(self.since)}" if self.since is not None else ""
        return f"the newest declared change{kind}{since} of every endpoint"


def audit_fleet(
    desk: Desk,
    selection: Selection,
    claims: Sequence[str] = (),
    *,
    q: float = DEFAULT_Q,
    level: float = 0.95,
    any_dependence: bool = False,
    history: bool = False,
    processes: int | None = None,
    progress: Progress = lambda _done, _all: None,
) -> FleetAudit:
    """Judge the selected endpoints, decide over all of them together and store the audit.

    With `history` the judge is also replayed on every endpoint's own past, as `nibai audit` does.
    `processes` None: as many as there are cores and endpoints enough to pay for them.
    """
    changes, notes = selected_changes(desk, selection, claims)
    if desk.pricing is not None:
        changes = [desk.pricing.priced(change) for change in changes]
    results: dict[str, EndpointResult] = {}
    others = others_of(desk, changes)
    gaps = {
        change.endpoint: found
        for change in changes
        if (found := tuple(capture_gaps(desk.state, change.endpoint)))
    }
    reads = {change.endpoint: desk.reads(change.endpoint) for change in changes}
    for part in _judged(desk, changes, Judge(level, others, history, gaps, reads), processes):
        results |= {result.endpoint: result for result in part}
        progress(len(results), len(changes))
    audit = fleet_audit(
        [results[change.endpoint] for change in changes],
        audit_id=f"{FLEET}-{secrets.token_hex(4)}",
        created_at=desk.clock(),
        claims=tuple(dict.fromkeys(s.text for change in changes for s in change.sentences)),
        scope=selection.text,
        version=nibai.__version__,
        q=q,
        level=level,
        any_dependence=any_dependence,
        notes=[*notes, *(() if history else (NOT_REPLAYED,))],
    )
    desk.state.put_audit(to_document(audit), audit.created_at)
    return audit


# -- which changes --------------------------------------------------------------------------


def selected_changes(
    desk: Desk, selection: Selection, claims: Sequence[str]
) -> tuple[list[Change], list[str]]:
    """One change per endpoint in the order of their names, and what has to be said about it."""
    sentences = tuple(parse(claim) for claim in claims)
    if selection.at is not None or selection.windows is not None:
        if not sentences:
            raise UsageError("nothing was claimed of these endpoints: give --claim “2x faster”")
        windows = selection.windows or (None, None)
        names = sorted({row[0] for row in desk.engine().endpoints()})
        found = [
            Change(FLEET, name, (), selection.at, "", sentences, None, None, *windows)
            for name in names
        ]
        notes: list[str] = []
    else:
        found, notes = _declared(desk, selection)
        if sentences:
            found = [replace(change, sentences=sentences) for change in found]
    if not found:
        raise UsageError(f"there is nothing to audit: {selection.text} gives no endpoint")
    for change in found:
        require_sides(change)
        if not change.sentences:
            raise UsageError(
                f"change {change.id} comes without a claim: give one for all (--claim “2x faster”)"
            )
    return found, notes


def _declared(desk: Desk, selection: Selection) -> tuple[list[Change], list[str]]:
    """The newest fitting change of every endpoint."""
    newest: dict[str, Change] = {}
    older = 0
    for change in desk.changes():
        if selection.kinds and not set(selection.kinds) & {str(kind) for kind in change.kinds}:
            continue
        if selection.since is not None and _moment(change) < selection.since:
            continue
        other = newest.get(change.endpoint)
        if other is None or _moment(change) > _moment(other):
            newest[change.endpoint] = change
        older += other is not None
    notes = [f"{older} older changes of the same endpoints were left out"] if older else []
    return [newest[name] for name in sorted(newest)], notes


def _moment(change: Change) -> float:
    """When a change took effect, or was declared."""
    if change.effective_at is not None:
        return change.effective_at
    if change.candidate_window is not None:
        return change.candidate_window.start
    return change.declared_at or 0.0


def others_of(desk: Desk, judged: Sequence[Change]) -> dict[str, tuple[Disturbance, ...]]:
    """What else moved the traffic of each endpoint, as far as it is known."""
    known: dict[str, list[Change]] = {}
    for change in desk.changes():
        known.setdefault(change.endpoint, []).append(change)
    return {
        one.endpoint: tuple(
            disturbances(
                [other for other in known.get(one.endpoint, ()) if other.id != one.id],
                one.endpoint,
                desk.state,
            )
        )
        for one in judged
    }


# -- judging --------------------------------------------------------------------------------


def _judged(
    desk: Desk, changes: Sequence[Change], how: Judge, processes: int | None
) -> Iterator[list[EndpointResult]]:
    """Results chunk by chunk, in no certain order when several processes judge."""
    chunks = [changes[i : i + CHUNK] for i in range(0, len(changes), CHUNK)]
    rolled = desk.state.watermark(ROLL_UP)
    workers = processes or min(os.cpu_count() or 1, 1 + len(changes) // WORTH_A_PROCESS)
    if workers < 2:  # noqa: PLR2004 - one is this process
        for chunk in chunks:
            yield judge_chunk(desk.lake.root, rolled, chunk, how)
        return
    # Fresh processes: a fork would copy the locks that DuckDB's and Arrow's threads hold.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_worker) as pool:
        open_ = {pool.submit(judge_chunk, desk.lake.root, rolled, c, how) for c in chunks}
        try:
            while open_:
                done, open_ = wait(open_, return_when=FIRST_COMPLETED)
                for one in done:
                    yield one.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _worker() -> None:
    """Ctrl-C is answered by the first process alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def judge_chunk(
    lake_root: str, rolled: str | None, changes: Sequence[Change], how: Judge
) -> list[EndpointResult]:
    """Read what some changes need in one go and judge each as an audit of it alone would."""
    until = date.fromisoformat(rolled) if rolled else None
    engine = FleetEngine(Lake(lake_root), until, history=how.history)

    def windows_of(change: Change) -> LakeWindows:
        others = how.others.get(change.endpoint, ())
        return LakeWindows(
            engine,
            change,
            others,
            with_history=how.history,
            gaps=how.gaps.get(change.endpoint, ()),
            reads=how.reads.get(change.endpoint, NOTHING_PULLED),
        )

    def ask() -> None:
        for change in changes:
            windows = windows_of(change)
            for metric in (*_metrics(change), *_of_cost(change)):
                windows.comparison(metric)

    engine.read_for(ask)
    analyzers = load_analyzers(how.level)
    return [_result(change, windows_of(change), analyzers) for change in changes]


def _result(
    change: Change, windows: LakeWindows, analyzers: Mapping[str, Analyzer]
) -> EndpointResult:
    # A fleet is asked one promise: what else was seen (other batches) is told by the audits.
    asked = {part for sentence in change.sentences for part in sentence.parts}
    results = judge(change, windows, analyzers)
    findings = [f for result in results for f in result.findings if f.claim in asked]
    comparisons = [windows.comparison(metric) for metric in _metrics(change)]
    counts, seconds = _traffic([c for c in comparisons if c is not None])
    rate = sum(counts) / sum(seconds) if sum(seconds) else 0.0
    return endpoint_result(change.endpoint, change.id, findings, rate, counts)


def _traffic(comparisons: Sequence[Comparison]) -> tuple[tuple[int, int], tuple[float, float]]:
    """Requests and seconds of (baseline, candidate); the busiest metric speaks."""
    found = [
        (
            (requests(pooled_segments(c.baseline)), requests(pooled_segments(c.candidate))),
            (_seconds(c.baseline), _seconds(c.candidate)),
        )
        for c in comparisons
    ]
    return max(found, key=lambda one: sum(one[0]), default=((0, 0), (0.0, 0.0)))


def _seconds(side: Side) -> float:
    return max((r.block_seconds * len(r.block_starts) for r in side.replicas), default=0.0)


def _metrics(change: Change) -> list[str]:
    return list(dict.fromkeys(part.metric for s in change.sentences for part in s.parts))


def _of_cost(change: Change) -> tuple[str, ...]:
    """What claims about cost look at besides."""
    return (*COUNTED_METRICS, INSTANCES, *TOKENS) if claims_cost(change) else ()


def _iso(seconds: float) -> str:
    return (iso(seconds) or "").replace(":00Z", "Z")
