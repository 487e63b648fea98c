"""What a look of the detector reads: a series only what it waits for."""

from dataclasses import replace

from nibai.app.changes_passes import passes
from nibai.model import Window
from nibai.stats.detector import Baseline, Detector
from nibai.stats.series_watch import SeriesWatch
from nibai.store.series.history import Scope

BLOCK = 300.0
WEEK = 2016
NOW = 5 * WEEK
"""The first block that is not closed."""

RECENT = Scope(Window((NOW - 2 * WEEK) * BLOCK, NOW * BLOCK), BLOCK)


def followed(cursor):
    learned = Baseline(*([[0.0] * 3] * 3))
    return SeriesWatch(cursor, detector=Detector.begin(learned))


def learning(cursor, *, begun=True):
    return SeriesWatch(cursor, begun=begun)


def planned(kept, *, wanted=("a",), looked=NOW - 1):
    found = passes(
        RECENT, set(wanted), kept, closed=NOW * BLOCK + 10,
        looked=None if looked is None else looked * BLOCK,
    )  # fmt: skip
    for one in found:
        assert one.scope.window.end == NOW * BLOCK
    return [
        (sorted(one.scope.among), round(one.scope.window.start / BLOCK), sorted(one.expected))
        for one in found
    ], found


def test_an_endpoint_that_nobody_knows_is_read_from_the_recent_past():
    (found,), (one,) = planned({}, looked=None)
    assert found == (["a"], NOW - 2 * WEEK, [])
    assert one.takes(("a", "x"))


def test_followed_series_need_the_newest_blocks_whatever_others_learn():
    x, y = ("a", "x"), ("a", "y")
    plan, (one,) = planned({x: followed(NOW - 1), y: learning(NOW - 900)})
    assert plan == [(["a"], NOW - 1, [x])]
    assert not one.takes(y), "its week is not over"
    assert one.takes(("a", "new")), "a new series of a known endpoint is noticed"


def test_a_week_is_read_once_it_is_over_and_by_those_that_wait_for_it():
    x, y = ("a", "x"), ("b", "y")
    plan, (news, whole) = planned(
        {x: followed(NOW - 1), y: learning(NOW - WEEK - 3)}, wanted=("a", "b")
    )
    assert plan == [(["a", "b"], NOW - 1, [x]), (["b"], NOW - WEEK - 3, [y])]
    assert not news.takes(y)
    assert whole.takes(y)
    assert not whole.takes(("b", "new"))
    last = {x: followed(NOW), y: learning(NOW - WEEK + 1)}
    assert planned(last, wanted=("a", "b"), looked=NOW)[0] == []


def test_a_series_without_a_request_yet_goes_on_from_its_cursor():
    x = ("a", "x")
    assert planned({x: learning(NOW - 7, begun=False)})[0] == [(["a"], NOW - 7, [x])]


def test_after_an_older_nibai_everything_since_the_oldest_cursor_is_read():
    x, y = ("a", "x"), ("a", "y")
    plan, _ = planned({x: followed(NOW - 2), y: learning(NOW - 50)}, looked=None)
    assert plan == [(["a"], NOW - 50, [x])]


def test_what_a_pulled_source_has_not_read_is_not_taken_for_empty():
    x, y = ("pushed", "x"), ("pulled", "y")
    kept = {x: followed(NOW - 1), y: followed(NOW - 12)}
    read = {"pulled": (NOW - 9) * BLOCK + 30, "other": 0.0}
    late, news = passes(
        RECENT, {"pushed", "pulled"}, kept, closed=NOW * BLOCK + 10, looked=(NOW - 12) * BLOCK,
        read_until=read,
    )  # fmt: skip
    assert late.scope.window == Window((NOW - 12) * BLOCK, (NOW - 9) * BLOCK)
    assert (late.scope.among, late.expected) == ({"pulled"}, {y})
    assert (news.scope.window.end, news.expected) == (NOW * BLOCK, {x})


def test_only_the_wanted_endpoints_are_read():
    x, y = ("a", "x"), ("b", "y")
    kept = {x: followed(NOW - 2), y: followed(NOW - 9)}
    assert [among for among, _, _ in planned(kept)[0]] == [["a"]]


def test_a_learning_series_says_when_it_has_begun_and_keeps_saying_it():
    state = learning(NOW - 5)
    assert SeriesWatch.from_plain(state.to_plain()).begun
    assert state.waits(NOW - 5 + WEEK - 1, WEEK)
    assert not state.waits(NOW - 5 + WEEK, WEEK)
    assert not replace(state, begun=False).waits(NOW, WEEK)
