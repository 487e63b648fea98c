"""Audits are marked once, tried again while that can help, and not when it cannot."""

import logging
from dataclasses import replace
from types import SimpleNamespace

from support import audits

from nibai.app.onwatch.annotating import Annotating
from nibai.app.onwatch.tally import Tally
from nibai.errors import NotifyError


class Marker:
    """Notes what it is given; fails as told."""

    def __init__(self, *errors):
        self.errors, self.marked = list(errors), []

    def annotate(self, audit):
        if self.errors:
            raise self.errors.pop(0)
        self.marked.append(audit.id)


def failure(*, retryable):
    return NotifyError("Grafana is out", retryable=retryable, reason="server")


def annotating(marker, *stored, most=20):
    changes = list(dict.fromkeys(audit.change.id for audit in stored))
    rows = [(audit.id, audit.change.id, audit.created_at, "refuted") for audit in stored]
    desk = SimpleNamespace(
        state=SimpleNamespace(audits=lambda: rows),
        changes=lambda: [SimpleNamespace(id=change) for change in changes],
        stored={audit.id: audit for audit in stored}.__getitem__,
    )
    return Annotating(desk, {"grafana": marker}, Tally(), most)


def results(work):
    return work.tally.numbers().get("nibai_notifications_total", {})


def stay():
    return False


def named(audit_id, change="c1"):
    made = audits.mixed()
    return replace(made, id=audit_id, change=replace(made.change, id=change))


def test_the_audit_that_decides_is_marked_and_only_once():
    marker = Marker()
    work = annotating(marker, named("report-2"), named("watch-1"), named("x", "c2"))
    work.take(stay)
    work.take(stay)
    assert marker.marked == ["watch-1", "x"]
    assert results(work) == {("grafana", "ok"): 2.0}


def test_an_outage_is_tried_again_and_a_refusal_is_not(caplog):
    marker = Marker(failure(retryable=True), failure(retryable=False))
    work = annotating(marker, named("a1"), named("a2", "c2"))
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            work.take(stay)
    assert marker.marked == ["a1"]
    assert results(work) == {("grafana", "failed"): 2.0, ("grafana", "ok"): 1.0}
    assert [record.getMessage() for record in caplog.records] == [
        "audit a1 is not marked: Grafana is out",
        "audit a2 is not marked: Grafana is out",
    ]


def test_only_the_newest_changes_are_marked_and_stopping_is_heard():
    marker = Marker()
    work = annotating(marker, named("a1"), named("a2", "c2"), most=1)
    work.take(lambda: True)
    assert marker.marked == []
    work.take(stay)
    assert marker.marked == ["a1"]
