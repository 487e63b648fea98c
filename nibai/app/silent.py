"""Series that were read and never gave anything: told once, with what there is instead.

Idle hours are no silence: only what never gave a minute is, as far back as it was read. A variant
that discovery has seen exists, and merely had no requests. Source: nibai's aws.md, section 13 (3).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from nibai.errors import CollectError
from nibai.protocols import Divided, Naming, Puller
from nibai.store.lake.delta import Lake
from nibai.store.pulled.stored import Name, stored_hours, stored_replicas
from nibai.store.state.database import State
from nibai.store.state.deployments import Deployments
from nibai.store.state.silent import Read, Silent, put_silent, read_for, silent_series


@dataclass(frozen=True, slots=True)
class Silence:
    """What is to be told now, how many series are silent, and what asking for names cost."""

    told: list[str]
    series: int
    dollars: float


def heed_silence(
    source: str, puller: Puller, state: State, lake: Lake, *, known: Collection[Name], now: float
) -> Silence:
    """After a reading that came to its end: which series of the source never gave anything.

    `known`: what the minute tables hold. Names are asked for once a series.
    """
    wanted = read_for(state, source, puller.series)
    left = {one: names for one, names in wanted.items() if not names & set(known)}
    gone = stored_hours(lake, set().union(*left.values()))
    never = {one: names for one, names in left.items() if not names & gone}
    replicas = puller.replicas if isinstance(puller, Divided) else {}
    never |= _silent_replicas(replicas, wanted, lake)
    before = {(one.series, one.endpoint, one.variant): one for one in silent_series(state, source)}
    if not never and not before:
        return Silence([], 0, 0.0)
    new = {one: names for one, names in never.items() if one not in before}
    gave = {(e, v) for names in wanted.values() for e, v, _ in names & set(known)}
    said, dollars = _explained(puller, new, set(known), gave, _seen(state)) if new else ({}, 0.0)
    told = {one: _text(one, new[one], text, replicas.get(one[0], "")) for one, text in said.items()}
    found = [before.get(one) or Silent(source, *one, told.get(one, ""), now) for one in never]
    put_silent(state, source, found)
    return Silence([*told.values()], sum(bool(one.said) for one in found), dollars)


def _silent_replicas(
    replicas: Mapping[str, str], wanted: Mapping[Read, set[Name]], lake: Lake
) -> dict[Read, set[Name]]:
    """Series of single replicas of which nothing is stored, whatever others of the name gave."""
    parts = {one: names for one, names in wanted.items() if one[0] in replicas}
    heard = stored_replicas(lake, set().union(*parts.values()))
    return {
        one: names
        for one, names in parts.items()
        if not any((name, replicas[one[0]]) in heard for name in names)
    }


def _text(one: Read, names: Collection[Name], said: str, replica: str) -> str:
    """Object, fact, remedy."""
    metrics = ", ".join(sorted(metric for _, _, metric in names))
    of = f" of {replica}" if replica else ""
    return f"{one[1]} {one[2]}: never gave any {metrics}{of}: {said}"


def _explained(
    puller: Puller,
    new: Collection[Read],
    known: Collection[Name],
    gave: Collection[tuple[str, str]],
    seen: Mapping[str, set[str]],
) -> tuple[dict[Read, str], float]:
    """Fact and remedy of what does not seem to exist."""
    looked: Mapping[tuple[str, str], str] | None = None
    dollars, refused = 0.0, ""
    if isinstance(puller, Naming):
        try:
            asked = sorted({(series, variant) for series, _, variant in new})
            looked, dollars = puller.missing(asked)
        except CollectError as error:
            refused = f" (names could not be compared: {error})"
    found = {}
    for one in new:
        series, endpoint, variant = one
        exists = variant in seen.get(endpoint, ())
        if exists and (endpoint, variant) not in gave:
            continue  # it merely had no requests
        if looked is not None and (series, variant) not in looked:
            continue
        there = seen.get(endpoint) or {v for e, v, _ in known if e == endpoint} - {variant}
        found[one] = (looked or {}).get((series, variant)) or _nearest(variant, there) + refused
    return found, dollars


def _nearest(variant: str, there: Collection[str]) -> str:
    near = get_close_matches(variant, sorted(there), n=1)
    shown = f"there is {', '.join(sorted(there)[:5])}; " if there else ""
    meant = f"did you mean {near[0]}? " if near and near[0] != variant else ""
    check = "check endpoint, variant and metric in nibai.yaml, unless it had no requests so far"
    return shown + meant + check


def _seen(state: State) -> dict[str, set[str]]:
    """What discovery last saw serve, by endpoint; discoverers that name no units say nothing."""
    found: dict[str, set[str]] = {}
    for endpoint, one in Deployments(state).latest().items():
        units = one.document.get("units")
        if isinstance(units, list):
            found[endpoint] = {str(u["name"]) for u in units if isinstance(u, dict) and "name" in u}
    return found
