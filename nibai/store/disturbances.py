"""What else moved an endpoint's traffic: other changes, and deployments that were taken back.

Windows that nobody gave end where another change begins: what came after it is not the effect of
this one. Minutes in which two fleets answered under one name lie in none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nibai.document import iso
from nibai.model import Change, Window
from nibai.store.deployments import Deployments
from nibai.store.live_windows import around_change
from nibai.store.past import moment_of
from nibai.store.state import State

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
