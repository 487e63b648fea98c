"""What a look finds is stored with what was seen, once, and a failing lookout stops no other."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from nibai.app.covariates import with_covariates
from nibai.app.discover import Lookout, discover_once
from nibai.config import Config
from nibai.errors import CollectError
from nibai.model import Audit, Change, ChangeKind, Reason, ReasonCode, SideSummary, Verdict
from nibai.protocols import Deployment, Discoverer, Sighting
from nibai.store.state import migrations, tables
from nibai.store.state.database import open_state
from nibai.store.state.deployments import Deployments

ENDPOINT = "sagemaker/123456789012.eu-west-1/chat"
CLAIM = "model_latency 2x faster at p50"


@pytest.fixture
def state(tmp_path):
    opened = open_state(tmp_path / "state.sqlite")
    yield opened
    opened.close()


def seen(at, fingerprint="a", **more):
    return Deployment(ENDPOINT, fingerprint, at, at, {"what": fingerprint}, **more)


class Looks:
    """A discoverer that sees what the test says."""

    def __init__(self, *sightings, fails=None):
        self.sightings, self.fails = list(sightings), fails
        self.problems = ["sagemaker:ListOptimizationJobs is refused"]
        self.settled = 0

    def discover(self, known, *, since=None):
        del known, since
        if self.fails:
            raise self.fails
        yield from self.sightings

    def settle(self):
        self.settled += 1


def look(state, *discoverers, now=100.0):
    eyes = [Lookout(f"l{i}", d, (CLAIM,)) for i, d in enumerate(discoverers)]
    return discover_once(Config(), state, lambda: now, eyes=eyes)


def test_the_protocol_is_kept():
    assert isinstance(Looks(), Discoverer)


def test_a_change_is_stored_with_its_claims_and_the_deployment(state):
    change = Change("", ENDPOINT, (ChangeKind.DRIVER,), effective_at=90.0, started_at=60.0)
    looks = Looks(Sighting(seen(10.0)))
    look(state, looks)
    looks.sightings = [Sighting(seen(95.0, "b"), [change], ["said"])]
    found = look(state, looks)
    assert [one.id[:4] for one in found.changes] == ["chg-"]
    assert found.notes == [f"{ENDPOINT}: said"]
    assert found.problems == ["l0: sagemaker:ListOptimizationJobs is refused"]
    assert looks.settled == 2
    [stored] = state.changes()
    assert (stored["sentences"], stored["started_at"], stored["declared_at"]) == (
        [CLAIM],
        60.0,
        100.0,
    )
    assert [d.fingerprint for d in Deployments(state).history(ENDPOINT)] == ["a", "b"]


def test_the_same_deployment_is_one_row_that_was_seen_longer(state):
    for at in (10.0, 70.0):
        look(state, Looks(Sighting(seen(at, underway={"start": at}))))
    [row] = Deployments(state).history(ENDPOINT)
    assert (row.first_seen, row.last_seen, row.underway) == (10.0, 70.0, {"start": 70.0})


def test_of_two_looks_at_once_only_one_tells_the_change(state):
    kept = Deployments(state)
    kept.keep(None, seen(10.0))
    before = kept.latest()[ENDPOINT]
    assert kept.keep(before, seen(95.0, "b"))
    assert not kept.keep(before, seen(96.0, "b"), [{"id": "chg-1"}])
    assert state.changes() == []


def test_a_lookout_that_fails_is_told_and_the_others_look_on(state):
    broken, fine = Looks(fails=CollectError("not reached")), Looks(Sighting(seen(10.0)))
    found = look(state, broken, fine)
    assert (found.failed, found.endpoints) == (1, 1)
    assert found.problems[0] == "l0: not reached"
    assert (broken.settled, fine.settled) == (0, 1), "its messages come again"


def test_the_past_that_a_log_knows_comes_before(state):
    look(state, Looks(Sighting(seen(90.0, "c"), past=[seen(10.0), seen(50.0, "b")])))
    assert [d.fingerprint for d in Deployments(state).history(ENDPOINT)] == ["a", "b", "c"]


def test_what_was_seen_in_the_time_of_an_audit_is_in_its_notes(state):
    for number in range(8):
        note = f"blue: live.DesiredInstanceCount {number} -> {number + 1} (a covariate)"
        look(state, Looks(Sighting(seen(3600.0 * number, str(number)), notes=[note])))
    sides = SideSummary("b", 1, 1, 1800.0, 9000.0), SideSummary("c", 1, 1, 9000.0, 23_000.0)
    plain = Audit(
        "a", 0.0, Change("c", ENDPOINT), Verdict.CONFIRMED, Reason(ReasonCode.NO_DATA, ""), (),
        *sides, (), ("first",), "9",
    )  # fmt: skip
    [first, told] = with_covariates(plain, state).notes
    assert first == "first"
    assert told.startswith(
        "seen in the time of both windows: 1970-01-01T01:00Z blue: live.DesiredInstanceCount 1 -> 2"
    )
    assert told.endswith("; and 1 more")
    elsewhere = replace(plain, change=Change("c", "onprem/tokyo/ocr"))
    assert with_covariates(elsewhere, state).notes == ("first",)


def test_a_state_of_an_earlier_version_learns_to_keep_notes(tmp_path):
    path = tmp_path / "state.sqlite"
    open_state(path).close()
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE deployments DROP COLUMN notes"))
        before = migrations.STEPS.index(migrations._notes_of_deployments)
        connection.execute(tables.SCHEMA_VERSION.update().values(version=before))
    engine.dispose()
    opened = open_state(path)
    look(opened, Looks(Sighting(seen(10.0), notes=["said"])))
    assert Deployments(opened).latest()[ENDPOINT].notes == ("said",)
    opened.close()


def test_the_salt_is_made_once(state):
    kept = Deployments(state)
    assert kept.salt() == kept.salt() != ""
