"""`nibai changes`, `nibai audit`: changes in, audits out, both kept in the state."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import nibai
from nibai import fleet_document
from nibai.app.artifact import MAX_ROWS, with_evidently
from nibai.app.compare import load_analyzers
from nibai.app.costs import Pricing, over, pricing_of
from nibai.app.covariates import with_covariates
from nibai.app.resting import resting
from nibai.app.unknown import with_known
from nibai.audit import run_audit
from nibai.claims import parse
from nibai.document import decode, encode, from_document, iso, to_document
from nibai.errors import StoreError, UsageError
from nibai.fleet import FleetAudit
from nibai.model import Audit, Change, Sentence, SideCost, Window
from nibai.prediction_plans import plans_of
from nibai.store.lake.delta import Lake
from nibai.store.lake.maintenance import ROLL_UP
from nibai.store.series.blocks import Engine
from nibai.store.state.capture_hours import capture_gaps
from nibai.store.state.database import State, open_state
from nibai.store.state.freshness import read_until
from nibai.store.state.watermarks import watermarks
from nibai.store.windows.disturbances import Disturbance, disturbances
from nibai.store.windows.sides import LakeWindows
from nibai.store.windows.stated import require_sides
from nibai.store.windows.unread import Reads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nibai.config import Config


NONE_YET = "there is none yet: nibai changes discover finds, nibai changes declare states one"

UNREAD_SECONDS = 4 * 3600.0
"""A source that was not read for so long is said to be behind."""


@dataclass(frozen=True, slots=True)
class Desk:
    """State and lake of one data folder, with a clock: what the commands work on."""

    state: State
    lake: Lake
    clock: Callable[[], float]
    pricing: Pricing | None = None
    every_seconds: Mapping[str, float] = field(default_factory=dict)
    """How often all of each source is read."""

    # -- changes --------------------------------------------------------------------------
    def declare(self, change: Change) -> Change:
        """Store a change under a new id and the present time, with its margins for predictions."""
        require_sides(change)
        stored = replace(
            change, id=new_id("chg"), declared_at=self.clock(), predictions=plans_of(change)
        )
        self.state.put_change(change_document(stored))
        return stored

    def change(self, change_id: str | None) -> Change:
        """One change, or the only one when no id is given; UsageError lists what there is."""
        documents = self.state.changes()
        ids = [document["id"] for document in documents]
        if change_id is None:
            if len(documents) == 1:
                return change_of(documents[0])
            hint = NONE_YET if not ids else _listed(ids)
            raise UsageError(f"which change? {hint}")
        document = self.state.change(change_id)
        if document is None:
            raise UsageError(f"no change {change_id!r}: {_listed(ids)}")
        return change_of(document)

    def changes(self) -> list[Change]:
        """All changes, the newest first."""
        return [change_of(document) for document in self.state.changes()]

    # -- audits ---------------------------------------------------------------------------
    def audit(
        self,
        change: Change,
        claims: Sequence[str] = (),
        *,
        runs: bool = False,
        windows: tuple[Window, Window] | None = None,
        level: float = 0.95,
        costs: tuple[SideCost, SideCost] | None = None,
        evidently: Path | None = None,
        keep: bool = True,
    ) -> Audit:
        """Judge a change by its own claims (or other ones) and store the audit (`keep`).

        `evidently` is where Evidently's report of the pairs of answers goes; it decides nothing.
        """
        judged = replace(with_claims(change, claims), runs=runs or change.runs)
        if windows is not None:
            judged = replace(judged, baseline_window=windows[0], candidate_window=windows[1])
        judged = replace(judged, costs=over(costs, judged.costs))
        if self.pricing is not None:
            judged = self.pricing.priced(judged)
        require_sides(judged)
        now = self.clock()
        kept = 0 if evidently is None else MAX_ROWS
        found = self.windows(judged, keep_rows=kept)
        audit = run_audit(
            judged,
            found,
            resting(load_analyzers(level), self.state, level, now),
            audit_id=new_id("aud"),
            created_at=now,
            version=nibai.__version__,
            level=level,
            notes=unread_notes(self.state, judged, now),
        )
        if evidently is not None:
            rows = next((one.rows for one in found.predictions() if one.rows is not None), None)
            audit = with_evidently(audit, rows, evidently)
        audit = with_known(audit, self.engine())
        return self.keep(audit) if keep else audit

    def keep(self, audit: Audit) -> Audit:
        """Store an audit, with what else happened in its time; the one that counts.

        An audit made by the schedule is named after what it is about: of two processes that made
        it, one stores it, and the other learns that it is there.
        """
        audit = with_covariates(audit, self.state)
        try:
            self.state.put_audit(to_document(audit), audit.created_at)
        except StoreError:
            document = self.state.audit(audit.id)
            if document is None:
                raise
            return from_document(document)
        return audit

    def windows(self, change: Change, *, keep_rows: int = 0) -> LakeWindows:
        """Both sides of a change, and what is known to be missing of them."""
        return LakeWindows(
            self.engine(),
            change,
            self.others(change),
            keep_rows=keep_rows,
            gaps=capture_gaps(self.state, change.endpoint),
            reads=self.reads(change.endpoint),
        )

    def reads(self, endpoint: str, now: float | None = None) -> Reads:
        """Until when an endpoint was read (as it is at a moment)."""
        now = self.clock() if now is None else now
        return Reads(watermarks(self.state, endpoint), now, self.every_seconds)

    def others(self, judged: Change) -> list[Disturbance]:
        """What else moved the endpoint's traffic, as far as it is known."""
        changes = [change for change in self.changes() if change.id != judged.id]
        return disturbances(changes, judged.endpoint, self.state)

    def stored(self, audit_id: str) -> Audit | FleetAudit:
        """A stored audit of a change or of a fleet, exactly as it was."""
        document = self.state.audit(audit_id)
        if document is None:
            raise UsageError(
                f"no audit {audit_id!r}: {_listed([row[0] for row in self.state.audits()])}"
            )
        if fleet_document.is_fleet(document):
            return fleet_document.from_document(document)
        return from_document(document)

    def engine(self) -> Engine:
        """Queries over the lake as it is now."""
        rolled = self.state.watermark(ROLL_UP)
        return Engine(self.lake, date.fromisoformat(rolled) if rolled else None)


@contextmanager
def open_desk(config: Config, clock: Callable[[], float]) -> Iterator[Desk]:
    """The desk of a configuration; the state is closed on leaving."""
    state = open_state(config.state_address)
    try:
        yield desk_over(config, state, clock)
    finally:
        state.close()


def desk_over(config: Config, state: State, clock: Callable[[], float]) -> Desk:
    """The desk of a configuration over a state that is open."""
    lake, pricing = Lake(config.data / "lake"), pricing_of(config, clock)
    return Desk(state, lake, clock, pricing, config.every_seconds)


def unread_notes(state: State, change: Change, now: float) -> tuple[str, ...]:
    """That the endpoint's source has not been read for a while: never a silent pass."""
    found = read_until(state, change.endpoint)
    if found is None or now - found[1] <= UNREAD_SECONDS:
        return ()
    source, until = found
    text = (
        f"no data since {iso(until)}: {source} was last read until then; what was judged ends "
        "there (nibai collect --once says why)"
    )
    return (text,)


def with_claims(change: Change, claims: Sequence[str]) -> Change:
    """The change with other claims, or its own; UsageError when there is none."""
    sentences = tuple(parse(claim) for claim in claims) or change.sentences
    if not sentences:
        raise UsageError(
            f"change {change.id} comes without a claim: give one (--claim “2x faster”)"
        )
    return replace(change, sentences=sentences)


def change_document(change: Change) -> dict[str, object]:
    """A change as plain data; its sentences as texts."""
    document: dict[str, object] = encode(change)
    document["sentences"] = [sentence.text for sentence in change.sentences]
    return document


def change_of(document: dict[str, object]) -> Change:
    """The change of a document; sentences are parsed again."""
    texts = document["sentences"]
    sentences: tuple[Sentence, ...] = ()
    if isinstance(texts, list):
        sentences = tuple(parse(str(text)) for text in texts)
    change: Change = decode(Change, {**document, "sentences": []})
    return replace(change, sentences=sentences)


def _listed(ids: Sequence[str]) -> str:
    return f"there are {', '.join(ids[:10])}" if ids else "there is none"


def new_id(prefix: str) -> str:
    """A fresh id, such as chg-1a2b3c4d."""
    return f"{prefix}-{secrets.token_hex(4)}"
