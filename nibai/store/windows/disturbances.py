"""What else moved an endpoint's traffic: other changes, and deployments that were taken back.

Windows that nobody gave end where another change begins: what came after it is not the effect of
this one. Minutes in which two fleets answered under one name lie in none of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nibai.document import iso
from nibai.model import Change, Window
from nibai.store.state.database import State
from nibai.store.state.deployments import Deployments
from nibai.store.windows.live_windows import around_change
from nibai.store.windows.past import moment_of

ONE_LANDING_SECONDS = 3600.0
"""Changes so close to each other are told as one: a declaration of what is discovered, too."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """From when to when; `variants` are those it moved, none: all of the endpoint.

    After a `passing` one the endpoint is what it was before.
    """

    window: Window
    said: str
    variants: frozenset[str] = frozenset()
    passing: bool = False

    def touches(self, change: Change) -> bool:
        """Whether it moved a variant that is judged."""
        own = {change.baseline_variant, change.candidate_variant} - {None}
        return not self.variants or not own or bool(self.variants & own)


def disturbances(changes: Iterable[Change], endpoint: str, state: State) -> list[Disturbance]:
    """All known ones of an endpoint; leave out the judged change itself before."""
    found = [_of_change(change) for change in changes if change.endpoint == endpoint]
    return [one for one in found if one is not None] + [
        Disturbance(
            window,
            f"a deployment that did not stay, {iso(window.start)} to {iso(window.end)}",
            passing=True,
        )
        for window in Deployments(state).taken_back(endpoint)
    ]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between which moments a variant's evidence is that of one change, and what ends it.

    `without` are stretches inside that belong to no side.
    """

    since: float = -math.inf
    until: float = math.inf
    said: str = ""
    without: tuple[Window, ...] = ()


def bounds(landing: tuple[float, float], change: Change, others: Iterable[Disturbance]) -> Bounds:
    """Of a change that cuts a time line: began, over. What is near to it landed with it.

    A deployment that did not stay leaves a gap after the change, and ends the past before it.
    """
    known = [one for one in others if one.touches(change)]
    earlier = [
        one.window.end
        for one in known
        if one.window.end <= landing[0] - (0 if one.passing else ONE_LANDING_SECONDS)
    ]
    stay = [one for one in known if not one.passing]
    later = [one for one in stay if one.window.start >= landing[1] + ONE_LANDING_SECONDS]
    gaps = [one.window for one in known if one.passing and one.window.end > landing[1]]
    return _until(max(earlier, default=-math.inf), later, tuple(gaps))


def alongside(first: float, change: Change, others: Iterable[Disturbance]) -> Bounds:
    """Of two variants that serve at the same time, since `first`.

    A change is about the variants as they are when it is declared, or where its window begins: what
    moved one of them before, or with it, is over by then, and what does later ends the evidence.
    """
    window, declared = change.candidate_window, change.declared_at
    at = first if declared is None else declared
    at = window.start if window is not None else max(at, first)
    known = [one for one in others if one.touches(change)]
    later = [one for one in known if one.window.start >= at + ONE_LANDING_SECONDS]
    before = [one.window.end for one in known if one not in later]
    stay = [one for one in later if not one.passing]
    gaps = tuple(one.window for one in later if one.passing)
    return _until(max(before, default=-math.inf), stay, gaps)


def undisturbed_alongside(
    everything: Window, change: Change, others: Sequence[Disturbance]
) -> tuple[Window, tuple[str, ...]]:
    """The window of two variants side by side, where nobody gave one, and what it stops at."""
    if change.effective_at is not None or change.candidate_window is not None or change.runs:
        return everything, ()
    found, said = alongside(everything.start, change, others), []
    start, end = max(everything.start, found.since), min(everything.end, found.until)
    if start > everything.start:
        said.append(f"the windows are the change's own: they begin {iso(start)}")
    if end < everything.end:
        said.append(f"the windows are the change's own: they end before {found.said}")
    return Window(start, max(start, end)), tuple(said)


def _until(since: float, later: Sequence[Disturbance], gaps: tuple[Window, ...]) -> Bounds:
    next_one = min(later, key=lambda one: one.window.start, default=None)
    if next_one is None:
        return Bounds(since, without=gaps)
    return Bounds(since, next_one.window.start, next_one.said, gaps)


def moments(found: Iterable[Disturbance]) -> list[float]:
    """Where nothing of the past may reach across."""
    return [at for one in found for at in {one.window.start, one.window.end}]


def undisturbed(
    everything: Window, change: Change, others: Sequence[Disturbance]
) -> tuple[tuple[Window, Window], tuple[str, ...]]:
    """The windows of a change that cuts a time line, and what they stop at or leave out."""
    over, began = change.effective_at, change.unchanged_until
    assert over is not None  # noqa: S101 - the caller's case
    began = over if began is None else began
    known = [one for one in others if one.touches(change)]
    stretch, said = _own(everything, (began, over), [one for one in known if not one.passing])
    found = around_change(stretch, over, began)
    for one in (one for one in known if one.passing):
        if not any(_overlap(one.window, side) for side in found):
            continue
        stretch, began, over = _beside(stretch, began, over, one.window)
        found = around_change(stretch, over, began)
        said.append(f"without {one.said}")
    return found, tuple(f"the windows are the change's own: {text}" for text in said)


def _own(
    everything: Window, landing: tuple[float, float], changes: Iterable[Disturbance]
) -> tuple[Window, list[str]]:
    """Where no other change is; what is near to this one landed with it."""
    start, end, first, last = everything.start, everything.end, "", ""
    for one in changes:
        if start < one.window.end <= landing[0] - ONE_LANDING_SECONDS:
            start, first = one.window.end, f"they begin after {one.said}"
        elif landing[1] + ONE_LANDING_SECONDS <= one.window.start < end:
            end, last = one.window.start, f"they end before {one.said}"
    start, end = start + -start % 60, end - end % 60
    return Window(start, max(end, start)), [text for text in (first, last) if text]


def _beside(
    stretch: Window, began: float, over: float, passed: Window
) -> tuple[Window, float, float]:
    """The longer of what lies before and after it: the rest counts as the change's deployment."""
    start, end = stretch.start, stretch.end
    if passed.start < began:
        if began - passed.end < passed.start - start:
            began = max(passed.start, start)
        else:
            start = passed.end + -passed.end % 60
    elif end - passed.end > passed.start - over:
        over = passed.end
    else:
        end = passed.start - passed.start % 60
    return Window(start, max(end, start)), began, over


def _overlap(one: Window, other: Window) -> bool:
    return one.start < other.end and other.start < one.end


def _of_change(change: Change) -> Disturbance | None:
    moment = moment_of(change)
    if moment is None:
        return None
    began = change.unchanged_until
    variants = {change.baseline_variant, change.candidate_variant}
    return Disturbance(
        Window(moment if began is None else began, moment),
        f"change {change.id} at {iso(moment)}",
        frozenset(name for name in variants if name is not None),
    )
