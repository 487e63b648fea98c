"""Windows that nobody gave stop at other changes and leave out what was taken back."""

from dataclasses import replace

import pytest

from nibai.model import Change, Window
from nibai.store.state.database import open_state
from nibai.store.state.deployments import Deployments
from nibai.store.windows.disturbances import (
    Disturbance,
    alongside,
    disturbances,
    undisturbed,
    undisturbed_alongside,
)

HOUR = 3600.0
CUT = 19_004 * 24 * HOUR
EVERYTHING = Window(CUT - 48 * HOUR, CUT + 48 * HOUR)


def of(began, over, *variants, passing=False):
    """Something that happened, in hours from the judged change on."""
    window = Window(CUT + began * HOUR, CUT + over * HOUR)
    return Disturbance(window, "another", frozenset(variants), passing)


def hours(*others):
    """Both windows in hours from the change on, and what is said."""
    change = Change("c", "e", effective_at=CUT, baseline_variant="blue", candidate_variant="blue")
    found, said = undisturbed(EVERYTHING, change, others)
    return [((w.start - CUT) / HOUR, (w.end - CUT) / HOUR) for w in found], said


@pytest.mark.parametrize(
    ("others", "windows", "said"),
    [
        ([], [(-48, 0), (0, 48)], ()),
        ([of(30, 31)], [(-24, 0), (0, 24)], ("they end before another",)),
        ([of(-21, -20)], [(-20, 0), (0, 20)], ("they begin after another",)),
        ([of(8, 9), of(30, 31)], [(-24, -16), (0, 8)], ("they end before another",)),
        # Another variant's, or declared beside what was discovered: one landing.
        ([of(8, 9, "green")], [(-48, 0), (0, 48)], ()),
        ([of(0.2, 0.2), of(-0.2, -0.1)], [(-48, 0), (0, 48)], ()),
    ],
)
def test_what_came_with_another_change_is_not_of_this_one(others, windows, said):
    assert hours(*others) == (
        windows,
        tuple(f"the windows are the change's own: {x}" for x in said),
    )


@pytest.mark.parametrize(
    ("began", "over", "windows"),
    [
        (-2, -0.5, [(-48, -24), (0, 24)]),  # as if the deployment had begun with it
        (-47, -46.5, [(-24, 0), (0, 24)]),
        (0.5, 2, [(-46, -22), (2, 26)]),
        (46, 47, [(-24, 0), (0, 24)]),
        (-60, -50, [(-48, 0), (0, 48)]),
        (-0.5, 0, [(-48, -24), (0, 24)]),
    ],
)
def test_minutes_of_a_deployment_that_was_taken_back_are_on_no_side(began, over, windows):
    found, said = hours(of(began, over, passing=True))
    assert found == windows
    assert said == (("the windows are the change's own: without another",) * (began > -48))
    assert not any(start < over and began < end for start, end in found)


@pytest.mark.parametrize(
    ("others", "stretch", "said"),
    [
        ([], (-48, 48), ()),
        # Before it was declared, or with it: the variants are what they were then.
        ([of(-20, -19), of(0.2, 0.5)], (0.5, 48), ("they begin 2022-01-12T00:30:00Z",)),
        ([of(9, 10), of(7, 8), of(5, 6, "other")], (-48, 7), ("they end before another",)),
        ([of(9, 10, "green")], (-48, 9), ("they end before another",)),
        ([of(5, 6, passing=True)], (-48, 48), ()),
    ],
)
def test_two_variants_side_by_side_end_where_one_of_them_moves(others, stretch, said):
    change = Change(
        "c", "e", baseline_variant="blue", candidate_variant="green", declared_at=CUT
    )  # fmt: skip
    found, told = undisturbed_alongside(EVERYTHING, change, others)
    assert ((found.start - CUT) / HOUR, (found.end - CUT) / HOUR) == stretch
    assert told == tuple(f"the windows are the change's own: {one}" for one in said)
    given = replace(change, candidate_window=EVERYTHING)
    assert undisturbed_alongside(EVERYTHING, given, others) == (EVERYTHING, ())


def test_a_watch_of_two_variants_begins_and_ends_with_them():
    change = Change("c", "e", baseline_variant="blue", candidate_variant="green", declared_at=CUT)
    passed = of(5, 6, passing=True)
    found = alongside(CUT - 40 * HOUR, change, [of(-20, -19), passed, of(7, 8)])
    assert (found.since, found.until, found.said) == (CUT - 19 * HOUR, CUT + 7 * HOUR, "another")
    assert found.without == (passed.window,)
    # Data that begin only later are what the declaration was about.
    assert alongside(CUT + 10 * HOUR, change, [of(7, 8)]).since == CUT + 8 * HOUR


def test_they_are_known_from_the_changes_and_what_was_seen(tmp_path):
    from nibai.protocols.discovery import TAKEN_BACK, Deployment  # noqa: PLC0415

    state = open_state(tmp_path / "state.sqlite")
    document = {TAKEN_BACK: [60.0, 120.0]}
    Deployments(state).keep(None, Deployment("e", "f", 120.0, 120.0, document))
    moved = Change("chg-1", "e", effective_at=90.0, started_at=30.0, baseline_variant="blue")
    beside = Change("chg-2", "e", baseline_variant="blue", candidate_variant="dark")
    found = disturbances([moved, beside, Change("chg-3", "other", effective_at=5.0)], "e", state)
    assert [(one.window, one.passing) for one in found] == [
        (Window(30.0, 90.0), False), (Window(60.0, 120.0), True),
    ]  # fmt: skip
    assert [one.said for one in found] == [
        "change chg-1 at 1970-01-01T00:01:30Z",
        "a deployment that did not stay, 1970-01-01T00:01:00Z to 1970-01-01T00:02:00Z",
    ]
    assert found[0].variants == {"blue"}
    state.close()
