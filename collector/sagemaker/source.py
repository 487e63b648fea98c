"""SageMaker as a source of changes: every endpoint looked at, compared with what was seen last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from collector.aws.session import AwsClient, Caller
from collector.sagemaker.changes import change_of
from collector.sagemaker.describe import AT_REST, Described, Describer
from collector.sagemaker.diff import Step, context_moved, steps
from collector.sagemaker.jobs import Job, Jobs, explained
from collector.sagemaker.permitted import Permitted
from collector.sagemaker.signals import Signal, about, dated, from_documents, joined
from collector.sagemaker.snapshot import Role, Snapshot, from_document, to_document
from nibai.errors import CollectError
from nibai.model import Change
from nibai.protocols import Deployment, Discoverer, Sighting

DELETED = "Deleted"
JOBS_BACK_SECONDS = 180 * 86400.0
KEPT_SIGNALS_SECONDS = 600.0
"""A message about a deployment may come before the endpoint says that it is updating."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An endpoint at rest, what it was when it was last seen, and what was heard since."""

    earlier: Deployment
    before: Snapshot
    after: Snapshot
    signals: Sequence[Signal]


class SageMakerSource:
    """Endpoints of one account and region that match `patterns`."""

    def __init__(
        self,
        caller: Caller,
        account_region: str,
        patterns: Sequence[str],
        *,
        salt: str,
        clock: Callable[[], float],
    ) -> None:
        self._permitted = Permitted()
        self._describer = Describer(caller, salt, self._permitted)
        self._jobs = Jobs(caller, self._permitted)
        self._scope = f"sagemaker/{account_region}/"
        self._patterns = tuple(patterns)
        self._clock = clock
        self._failed: list[str] = []

    @property
    def problems(self) -> Sequence[str]:
        """What the last look could not read."""
        return (*self._permitted.problems.values(), *self._failed)

    def discover(
        self, known: Mapping[str, Deployment], *, since: float | None = None
    ) -> Iterator[Sighting]:
        """One look at every endpoint; one that cannot be read is told and stops no other."""
        del since
        self._permitted.problems.clear()
        self._failed.clear()
        heard: dict[str, list[Signal]] = {}
        names = self._describer.names(self._patterns)
        for name in names:
            try:
                found = self._look(name, known.get(self._scope + name), heard.get(name, ()))
            except CollectError as error:
                self._failed.append(f"{name}: {error}")
                continue
            if found is not None:
                yield found
        yield from self._gone(known, names)

    def settle(self) -> None:
        """Nothing is waited for."""

    # -- one endpoint ---------------------------------------------------------------------
    def _look(
        self, name: str, earlier: Deployment | None, heard: Sequence[Signal]
    ) -> Sighting | None:
        described = self._describer.describe(name)
        if described is None:
            return None if earlier is None else self._deleted(earlier)
        now = self._clock()
        if earlier is None:
            if not described.at_rest:
                return None  # whatever served before is not told by now
            return Sighting(
                self._deployment(described.snapshot, now), (), (first_words(described),)
            )
        signals = joined(from_documents(earlier.underway.get("signals", ())), heard)
        if not described.at_rest:
            return Sighting(replace(earlier, underway=underway(described, earlier, signals)))
        return self._compared(described, earlier, signals, now)

    def _compared(
        self, described: Described, earlier: Deployment, signals: Sequence[Signal], now: float
    ) -> Sighting:
        before = from_document(earlier.document)
        seen = Seen(earlier, before, settled(before, described.snapshot), signals)
        found = self._changes(seen)
        deployment = self._deployment(seen.after, now)
        recent = [s.document for s in signals if s.at > now - KEPT_SIGNALS_SECONDS]
        if recent and not found:
            deployment = replace(deployment, underway={"signals": recent})
        return Sighting(deployment, found, notes(seen, changed=bool(found)))

    def _changes(self, seen: Seen) -> list[Change]:
        moved = [step for step in steps(seen.before, seen.after) if step.moved]
        if not moved:
            return []
        jobs = self._jobs.since(seen.after.modified - JOBS_BACK_SECONDS)
        return [self._change(*explained(step, jobs), seen) for step in moved]

    def _change(self, step: Step, job: Job | None, seen: Seen) -> Change:
        after = step.after
        component = after.name.removeprefix("ic:") if after.role is Role.COMPONENT else ""
        own = about(seen.signals, component)
        when = dated(
            seen.earlier.last_seen,
            seen.after.modified if after.modified is None else after.modified,
            pending_since=None if component else seen.earlier.underway.get("start"),
            created=None if component else seen.after.created,
            signals=own,
        )
        return change_of(
            seen.earlier.endpoint,
            step,
            when,
            job=job,
            signals=own,
            fingerprints=(seen.before.fingerprint, seen.after.fingerprint),
        )

    # -- deployments ----------------------------------------------------------------------
    def _deployment(self, snapshot: Snapshot, now: float) -> Deployment:
        document = to_document(snapshot)
        return Deployment(self._scope + snapshot.name, snapshot.fingerprint, now, now, document)

    def _gone(self, known: Mapping[str, Deployment], names: Sequence[str]) -> Iterator[Sighting]:
        there = {self._scope + name for name in names}
        for endpoint in sorted(known):
            if endpoint.startswith(self._scope) and endpoint not in there:
                name = endpoint.removeprefix(self._scope)
                if known[endpoint].document["status"] != DELETED and self._watched(name):
                    yield self._deleted(known[endpoint])

    def _watched(self, name: str) -> bool:
        return self._describer.matches(name, self._patterns)

    def _deleted(self, earlier: Deployment) -> Sighting:
        document = {**earlier.document, "status": DELETED}
        # What it was stays known: made again, it is compared with that.
        gone = replace(earlier, document=document, underway={})
        return Sighting(gone, (), ("was deleted",))


def underway(
    described: Described, earlier: Deployment, signals: Sequence[Signal]
) -> dict[str, Any]:
    """What is known of a deployment in progress, added up over the looks at it."""
    pending = described.pending
    started = pending["StartTime"].timestamp() if "StartTime" in pending else None
    starts = [s for s in (earlier.underway.get("start"), started) if s is not None]
    statuses = [
        f"{variant['VariantName']} {one['Status']}"
        for variant in pending.get("ProductionVariants", ())
        for one in variant.get("VariantStatus", ())
    ]
    known = earlier.underway.get("statuses", [])
    return {
        **({"start": min(starts)} if starts else {}),
        "config": str(pending.get("EndpointConfigName") or earlier.underway.get("config", "")),
        "statuses": list(dict.fromkeys([*known, described.snapshot.status, *statuses])),
        "signals": [signal.document for signal in signals],
    }


def settled(before: Snapshot, after: Snapshot) -> Snapshot:
    """A snapshot in which what is being updated, or cannot be read now, is what it was before."""
    units = []
    for unit in after.units:
        earlier = before.unit(unit.name)
        if earlier is None:
            units.append(unit)
        elif unit.names.get("status", AT_REST) != AT_REST:
            units.append(earlier)
        else:
            lost = {
                path: value
                for path, value in earlier.facts.items()
                if path.partition(".")[0].partition("[")[0] in after.unread
            }
            units.append(replace(unit, facts={**lost, **unit.facts}) if lost else unit)
    still = tuple(part for part in after.unread if part in before.unread)
    return replace(after, units=tuple(units), unread=still)


def notes(seen: Seen, *, changed: bool) -> tuple[str, ...]:
    """What is no optimization but may matter to whoever reads the figures."""
    before, after, earlier = seen.before, seen.after, seen.earlier
    said = []
    for step in steps(before, after):
        if not step.moved and not step.side_by_side:
            said += [f"{step.after.name}: {one} (a covariate)" for one in step.covariates]
    said += [f"{one} (a covariate)" for one in context_moved(before, after)]
    if before.status == DELETED:
        said.append("was made again after it had been deleted")
    if (config := earlier.underway.get("config")) and not changed and config != after.config:
        said.append(f"the deployment of {config} did not stay: {before.config} serves on")
    return tuple(said)


def first_words(described: Described) -> str:
    """What is said of an endpoint at first sight."""
    units = ", ".join(f"{unit.name} ({unit.role.value})" for unit in described.snapshot.units)
    return f"seen for the first time: {units or 'no variant'}; changes are told from here on"


def build(options: Mapping[str, object]) -> Discoverer:
    """One account and region; `options` are those of `sagemaker` in nibai.yaml and a `salt`."""
    import time  # noqa: PLC0415 - the plug-in's own clock

    region, url = str(options["region"]), options.get("endpoint_url")
    endpoint_url = None if url is None else str(url)
    patterns = options.get("endpoints") or ("*",)
    assert isinstance(patterns, list | tuple)  # noqa: S101 - checked with the configuration
    return SageMakerSource(
        AwsClient("sagemaker", region, endpoint_url=endpoint_url),
        f"{options['account']}.{region}",
        [str(one) for one in patterns],
        salt=str(options["salt"]),
        clock=time.time,
    )
