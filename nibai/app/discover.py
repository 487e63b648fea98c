"""`nibai changes discover`: endpoints are looked at, what changed is stored, never twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from nibai import plugins
from nibai.app.audit import change_document, new_id
from nibai.app.instances import COUNT_SECONDS, counts, store_counts
from nibai.claims import parse
from nibai.config import Config
from nibai.errors import CollectError, ConfigError, PluginError, StoreError
from nibai.model import Change, Observation
from nibai.prediction_plans import plans_of
from nibai.protocols import Discoverer, Sighting
from nibai.store.state.database import State
from nibai.store.state.deployments import Deployments


@dataclass(frozen=True, slots=True)
class Lookout:
    """A configured discoverer, its name for people, and what is claimed of every change.

    `collector` is the name under which it writes counts of instances.
    """

    name: str
    discoverer: Discoverer
    claims: tuple[str, ...]
    collector: str = "discovery"


@dataclass(slots=True)
class Discovery:
    """What one look at everything found; `failed` lookouts could not look at all."""

    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    endpoints: int = 0
    failed: int = 0


def lookouts(config: Config, state: State) -> list[Lookout]:
    """Every discoverer of the configuration; keep them between looks, they hold connections."""
    found = []
    for one in config.sagemaker:
        options = {**one.model_dump(), "salt": Deployments(state).salt()}
        discoverer = plugins.load("nibai.discoverers", "sagemaker", options)
        if not isinstance(discoverer, Discoverer):
            raise PluginError("the plug-in 'sagemaker' in nibai.discoverers discovers nothing")
        name = f"sagemaker {one.account} {one.region}"
        found.append(Lookout(name, discoverer, one.claims, name.replace(" ", "-")))
    return found


def require_lookouts(config: Config) -> None:
    """ConfigError when the configuration names nothing to look at."""
    if not config.sagemaker:
        raise ConfigError(
            "nothing to look at: add `sagemaker` with account, region and endpoints to nibai.yaml "
            "(nibai init --sagemaker ENDPOINT writes one; docs/sagemaker.md)"
        )


def discover_once(
    config: Config,
    state: State,
    clock: Callable[[], float],
    *,
    since: float | None = None,
    eyes: Sequence[Lookout] | None = None,
) -> Discovery:
    """Look at every endpoint once and store what changed, each change together with what was seen.

    A lookout that fails is told in `problems`; the others look on. Raises StoreError.
    """
    found = Discovery()
    for lookout in lookouts(config, state) if eyes is None else eyes:
        try:
            counted = _look(lookout, Deployments(state), clock, since, found)
        except CollectError as error:
            found.failed += 1
            found.problems.append(f"{lookout.name}: {error}")
        else:
            # Only now: a message that is forgotten earlier could be lost with this process.
            _settle(lookout, found)
            try:
                store_counts(counted, lookout.collector, config, state, clock)
            except StoreError as error:
                found.problems.append(f"{lookout.name}: instances are not counted here: {error}")
    return found


def _look(
    lookout: Lookout,
    kept: Deployments,
    clock: Callable[[], float],
    since: float | None,
    found: Discovery,
) -> list[Observation]:
    """What was found is stored; the instances that were seen, where it is time to count."""
    known = kept.latest()
    counted: list[Observation] = []
    for sighting in lookout.discoverer.discover(known, since=since):
        endpoint = sighting.deployment.endpoint
        changes = [_named(change, lookout.claims, clock()) for change in sighting.changes]
        documents = [change_document(change) for change in changes]
        seen = replace(sighting.deployment, notes=tuple(sighting.notes))
        if kept.keep(known.get(endpoint), seen, documents, sighting.past):
            found.changes += changes
            found.notes += _notes(sighting)
        found.notes += [
            f"{endpoint}: {change} has more evidence: {text}"
            for change, text in kept.add_evidence(endpoint, sighting.later)
        ]
        found.endpoints += 1
        before = known.get(endpoint)
        if before is None or clock() // COUNT_SECONDS != before.last_seen // COUNT_SECONDS:
            counted += counts(endpoint, sighting.instances, clock())
    found.problems += [f"{lookout.name}: {text}" for text in lookout.discoverer.problems]
    return counted


def _settle(lookout: Lookout, found: Discovery) -> None:
    try:
        lookout.discoverer.settle()
    except CollectError as error:
        found.problems.append(f"{lookout.name}: {error}")


def _notes(sighting: Sighting) -> list[str]:
    return [f"{sighting.deployment.endpoint}: {note}" for note in sighting.notes]


def _named(change: Change, claims: Sequence[str], now: float) -> Change:
    """The change with an id and everything that is claimed of it, said once."""
    own = {sentence.text for sentence in change.sentences}
    given = tuple(parse(claim) for claim in claims if claim not in own)
    named = replace(
        change, id=new_id("chg"), declared_at=now, sentences=(*given, *change.sentences)
    )
    return replace(named, predictions=plans_of(named))
