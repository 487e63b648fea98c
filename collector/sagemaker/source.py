"""SageMaker as a source of changes: every endpoint looked at, compared with what was seen last."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from collector.aws.errors import ODD
from collector.aws.pace import Spaced
from collector.aws.session import AwsClient, Caller
from collector.sagemaker.artifacts import MODELS, Artifacts
from collector.sagemaker.benchmarks import LATER_SECONDS
from collector.sagemaker.changes import change_of
from collector.sagemaker.describe import Described, Describer
from collector.sagemaker.diff import Step, steps
from collector.sagemaker.events import Queue
from collector.sagemaker.facts import text
from collector.sagemaker.jobs import Job, Jobs, explained
from collector.sagemaker.loaded import OVERWRITTEN, loaded, told
from collector.sagemaker.looks import (
    COMPONENTS,
    DELETED,
    FAILED_COMPONENTS,
    Seen,
    components_failed,
    components_underway,
    first_words,
    notes,
    settled,
    taken_back,
    underway,
    underway_words,
    update_of,
)
from collector.sagemaker.own_figures import OwnFigures
from collector.sagemaker.past import Past, Served
from collector.sagemaker.permitted import Permitted
from collector.sagemaker.signals import KNOWN_END, Signal, about, dated, from_documents, joined
from collector.sagemaker.snapshot import Role, Snapshot, from_document, to_document
from collector.sagemaker.trail import REACH_SECONDS, SECONDS_A_CALL, Trail
from nibai.errors import AuthError, CollectError
from nibai.model import Change
from nibai.protocols.discovery import TAKEN_BACK, Deployment, Discoverer, Sighting

JOBS_BACK_SECONDS = 180 * 86400.0
KEPT_SIGNALS_SECONDS = 600.0
"""A message about a deployment may come before the endpoint says that it is updating."""


class SageMakerSource:
    """Endpoints of one account and region that match `patterns`.

    `queue` is asked for messages of EventBridge (client and address), `trail` is CloudTrail,
    `store` is S3, where models' weights lie.
    """

    def __init__(
        self,
        caller: Caller,
        account_region: str,
        patterns: Sequence[str],
        *,
        salt: str,
        clock: Callable[[], float],
        queue: tuple[Caller, str] | None = None,
        trail: Caller | None = None,
        store: Caller | None = None,
    ) -> None:
        self._permitted = Permitted()
        self._queue = None if queue is None else Queue(*queue, self._permitted)
        self._trail = None if trail is None else Trail(trail, self._permitted)
        self._describer = Describer(caller, salt, self._permitted)
        self._jobs = Jobs(caller, self._permitted)
        self._figures = OwnFigures(caller, store, self._permitted)
        self._artifacts = None if store is None else Artifacts(store, clock)
        self._scope = f"sagemaker/{account_region}/"
        self._account = account_region.partition(".")[0]
        self._patterns = tuple(patterns)
        self._clock = clock
        self._failed: list[str] = []
        self._unused = False

    @property
    def problems(self) -> Sequence[str]:
        """What the last look could not read."""
        contents = () if self._artifacts is None else self._artifacts.problems.values()
        own = self._figures.problems
        return (*self._permitted.problems.values(), *contents, *own, *self._failed)

    def discover(
        self, known: Mapping[str, Deployment], *, since: float | None = None
    ) -> Iterator[Sighting]:
        """One look at every endpoint; one that cannot be read is told and stops no other."""
        self._permitted.problems.clear()
        self._failed.clear()
        self._figures.problems.clear()
        if self._artifacts is not None:
            self._artifacts.problems.clear()
        self._unused = False
        if self._trail is not None:
            self._trail.forget()
        heard: dict[str, list[Signal]] = {}
        for signal in self._received():
            heard.setdefault(signal.endpoint, []).append(signal)
        names = self._describer.names(self._patterns, self._account)
        for name in names:
            try:
                found = self._look(name, known.get(self._scope + name), heard.get(name, ()), since)
            except CollectError as error:
                self._failed.append(f"{name}: {error}")
                self._unused |= name in heard
                continue
            except ODD as error:
                self._failed.append(
                    f"{name}: SageMaker answered of another shape than documented "
                    f"({type(error).__name__}: {text(error)}): report it, with nibai's version"
                )
                self._unused |= name in heard
                continue
            if found is not None:
                yield found
        yield from self._gone(known, names)

    def _received(self) -> Sequence[Signal]:
        """What EventBridge told; a queue that cannot be read stops no look."""
        if self._queue is None:
            return ()
        try:
            return self._queue.receive()
        except AuthError:
            raise
        except CollectError as error:
            self._failed.append(f"messages of EventBridge are not read now: {error}")
            self._unused = True  # those that came before the error come again
            return ()

    def settle(self) -> None:
        """What the last look heard is kept: its messages may go.

        Not where an endpoint they are about could not be read: they come again, and what was used
        already is known.
        """
        if self._queue is not None and not self._unused:
            self._queue.forget()

    # -- one endpoint ---------------------------------------------------------------------
    def _look(
        self, name: str, earlier: Deployment | None, heard: Sequence[Signal], since: float | None
    ) -> Sighting | None:
        described = self._describer.describe(name)
        if described is None:
            return None if earlier is None else self._deleted(earlier)
        if self._artifacts is not None and described.at_rest:
            described = replace(described, snapshot=self._artifacts.seen(described.snapshot))
        now = self._clock()
        if earlier is None:
            if not described.at_rest:
                return None  # whatever served before is not told by now
            return replace(self._first(described, now, since), instances=described.instances)
        signals = joined(from_documents(earlier.underway.get("signals", ())), heard)
        if not described.at_rest:
            going_on = replace(earlier, underway=underway(described, earlier, signals))
            words = underway_words(going_on, earlier)
            return Sighting(going_on, (), words, instances=described.instances)
        found = self._compared(described, earlier, signals, now)
        lately = now - earlier.first_seen <= LATER_SECONDS
        later = self._figures.later(name, now) if lately else ()
        return replace(found, instances=described.instances, later=later)

    def _first(self, described: Described, now: float, since: float | None) -> Sighting:
        """An endpoint at first sight, with what CloudTrail knows of its past when it is asked."""
        deployment = self._deployment(described.snapshot, now)
        words = first_words(described)
        if since is None or self._trail is None:
            return Sighting(deployment, (), (words,))
        served = list(
            Past(self._trail, self._describer).of(
                described.snapshot.name, max(since, now - REACH_SECONDS), now
            )
        )
        past = [
            replace(
                self._deployment(one.snapshot, one.signal.at),
                document={**to_document(one.snapshot), "source": "CloudTrail"},
            )
            for one in served
        ]
        found: list[Change] = []
        for before, after in itertools.pairwise(served):
            found += self._past_changes(deployment.endpoint, before, after)
        return Sighting(deployment, found, (words,), past)

    def _past_changes(self, endpoint: str, before: Served, after: Served) -> list[Change]:
        moved = [step for step in steps(before.snapshot, after.snapshot) if step.moved]
        since = after.signal.at - JOBS_BACK_SECONDS
        found = []
        for step in moved:
            told, job = explained(step, self._jobs.of(step, since))
            prints = (before.snapshot.fingerprint, after.snapshot.fingerprint)
            found.append(
                change_of(
                    endpoint, told, after.dated, job=job, signals=[after.signal],
                    fingerprints=prints,
                )
            )  # fmt: skip
        return found

    def _compared(
        self, described: Described, earlier: Deployment, signals: Sequence[Signal], now: float
    ) -> Sighting:
        before = from_document(earlier.document)
        after = settled(before, described.snapshot)
        # Of a rolling deployment that was taken back, the old instances are new ones.
        back = taken_back(Seen(earlier, before, after, signals)) is not None and not described.rolls
        contents = loaded(before, after, stayed=not back)
        seen = Seen(earlier, before, contents.snapshot, signals)
        found = self._changes(seen)
        deployment = self._deployment(seen.after, now)
        if not found and (ran := taken_back(seen)) is not None:
            document = {**deployment.document, TAKEN_BACK: list(ran)}
            deployment = replace(deployment, document=document)
        recent = [s.document for s in signals if s.at > now - KEPT_SIGNALS_SECONDS]
        if recent and not found:
            deployment = replace(deployment, underway={"signals": recent})
        words = notes(seen, changed=bool(found))
        if contents.waiting:
            going_on = {**deployment.underway, OVERWRITTEN: dict(contents.waiting)}
            deployment = replace(deployment, underway=going_on)
            words += told(contents.waiting, earlier.underway.get(OVERWRITTEN, {}))
        if updated := components_underway(described, earlier, now):
            going_on = {**deployment.underway, COMPONENTS: updated}
            deployment = replace(deployment, underway=going_on)
            new = sorted(set(updated) - set(earlier.underway.get(COMPONENTS, ())))
            words += tuple(f"{name} is being updated" for name in new)
        if failed := components_failed(described):
            deployment = replace(
                deployment, underway={**deployment.underway, FAILED_COMPONENTS: failed}
            )
            new = sorted(set(failed) - set(earlier.underway.get(FAILED_COMPONENTS, ())))
            words += tuple(f"{name} has failed: nothing new of it serves" for name in new)
        return Sighting(deployment, found, words)

    def _changes(self, seen: Seen) -> list[Change]:
        moved = [step for step in steps(seen.before, seen.after) if step.moved]
        since = seen.after.modified - JOBS_BACK_SECONDS
        return [self._change(*explained(step, self._jobs.of(step, since)), seen) for step in moved]

    def _change(self, step: Step, job: Job | None, seen: Seen) -> Change:
        after = step.after
        component = after.name.removeprefix("ic:") if after.role is Role.COMPONENT else ""
        modified = seen.after.modified if after.modified is None else after.modified
        since, busy = update_of(seen.earlier, after.name)
        # Whether AWS dates the end of a component's update is not documented.
        over = modified if modified >= busy and not _by_itself(step) else self._clock()
        own = about(seen.signals, component)
        if self._trail is not None:
            reach = self._clock() - REACH_SECONDS
            asked = self._trail.signals(seen.after.name, component, max(since, reach), over)
            own = joined(own, asked)
        when = dated(
            since,
            over,
            pending_since=None if component else seen.earlier.underway.get("start"),
            created=None if component else seen.after.created,
            signals=own,
            end=KNOWN_END if over == modified else "end known only as before it was seen at rest",
        )
        figures = self._figures.of(step, seen.after.name, since, over)
        promised = [one.sentence for one in figures]
        said = [one.said for one in figures]
        return change_of(
            seen.earlier.endpoint,
            step,
            when,
            job=job,
            signals=own,
            sentences=[one for one in promised if one is not None],
            told=[(f"AWS's figure {i + 1}", text) for i, text in enumerate(said)],
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


def _by_itself(step: Step) -> bool:
    """Whether only models in a multi-model folder were exchanged: nothing was deployed."""
    return all(MODELS in one.path for one in step.moved)


def build(options: Mapping[str, object]) -> Discoverer:
    """One account and region; `options` are those of `sagemaker` in nibai.yaml and a `salt`."""
    import time  # noqa: PLC0415 - the plug-in's own clock

    region, url = str(options["region"]), options.get("endpoint_url")
    endpoint_url = None if url is None else str(url)
    patterns = options.get("endpoints") or ("*",)
    assert isinstance(patterns, list | tuple)  # noqa: S101 - checked with the configuration
    queue = options.get("queue")
    trail = None
    if options.get("cloudtrail"):
        client = AwsClient("cloudtrail", region, endpoint_url=endpoint_url)
        trail = Spaced(client, SECONDS_A_CALL, clock=time.monotonic, wait=time.sleep)
    return SageMakerSource(
        AwsClient("sagemaker", region, endpoint_url=endpoint_url),
        f"{options['account']}.{region}",
        [str(one) for one in patterns],
        salt=str(options["salt"]),
        clock=time.time,
        queue=None
        if queue is None
        else (AwsClient("sqs", region, endpoint_url=endpoint_url), str(queue)),
        trail=trail,
        store=AwsClient("s3", region, endpoint_url=endpoint_url)
        if options.get("weights", True)
        else None,
    )
