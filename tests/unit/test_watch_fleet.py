"""A watched fleet: evidence goes on after the own verdict, e-BH decides, every look repeats."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from support.fleet_audits import fleet as golden_fleet
from support.fleets import DAY, MONDAY, fill
from support.watched_fleets import looked_at, truth

from dashboards.markdown import MarkdownRenderer
from dashboards.report import HtmlReport
from dashboards.text import TextRenderer
from nibai import cli
from nibai.app.audit import Desk
from nibai.app.fleet import Selection
from nibai.app.watch import Watch
from nibai.app.watch_audit import finding_of
from nibai.app.watch_fleet import NOT_MEASURED, watch_fleet
from nibai.app.watch_on import CONTINUED, go_on
from nibai.claims import parse
from nibai.fleet_document import dumps, from_document
from nibai.model import Change, ReasonCode, Verdict
from nibai.stats.multiplicity import adjusted, e_bh
from nibai.store.lake.delta import Lake
from nibai.store.state.database import open_state
from nibai.store.wal.ingest import Ingest, MemoryLedger

CUT = MONDAY + 8 * DAY
CLAIM = "2x faster at p50 and p90"
FACTORS = {"onprem/tokyo/a": 0.4, "onprem/tokyo/b": 0.5, "onprem/tokyo/c": 1.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eight unchanged days and one: 2.5x faster, exactly as claimed, and not faster at all."""
    found = tmp_path_factory.mktemp("watched_fleet")
    fill(Lake(found / "lake"), FACTORS, moved=CUT, days=9)
    return found


@pytest.fixture
def clock():
    return [CUT + 6 * 3600 + 400]


@pytest.fixture
def desk(folder, tmp_path, clock):
    state = open_state(tmp_path / "state.sqlite")
    yield Desk(state, Lake(folder / "lake"), lambda: clock[0])
    state.close()


def declared(desk, name, *claims, **more):
    sentences = tuple(parse(claim) for claim in claims or (CLAIM,))
    return desk.declare(replace(Change("", name, effective_at=CUT, sentences=sentences), **more))


def look(desk, **more):
    return {r.endpoint: r for r in watch_fleet(desk, Selection(), **more).endpoints}


# -- evidence --------------------------------------------------------------------------------


def test_evidence_goes_on_where_the_watch_has_decided(desk, clock):
    declared(desk, "onprem/tokyo/a")
    early = look(desk)["onprem/tokyo/a"]
    assert early.alone is Verdict.CONFIRMED
    clock[0] = CUT + 20 * 3600
    late = look(desk)["onprem/tokyo/a"]
    assert late.alone is Verdict.CONFIRMED
    assert late.parts[0].blocks > early.parts[0].blocks
    assert late.p_confirm < early.p_confirm < 1 / 20
    assert late.p_confirm == max(part.p_confirm for part in late.parts)
    assert [p.estimate for p in late.parts] == [p.estimate for p in early.parts]
    assert late.reason.text.partition("; by now")[0] == early.reason.text.partition("; by now")[0]


@pytest.mark.parametrize("name", ["onprem/tokyo/a", "onprem/tokyo/c"])
def test_the_single_verdict_is_what_it_would_be_without_a_fleet(desk, clock, name):
    change = declared(desk, name)
    for hour in (6, 20):
        clock[0] = CUT + hour * 3600 + 400
        look(desk)
    fleet, alone = (Watch(desk, replace(change, id=key), 0.95) for key in (change.id, "alone"))
    fleet.look(clock[0])
    alone.look(clock[0])
    assert [part.track for part in fleet.parts] == [part.track for part in alone.parts]
    said = [[finding_of(watch, part) for part in watch.parts] for watch in (fleet, alone)]
    assert said[0] == said[1]


def test_one_look_or_many_end_at_the_same_evidence(desk, clock):
    change = declared(desk, "onprem/tokyo/a")
    for hour in (6, 12, 20):
        clock[0] = CUT + hour * 3600 + 400
        often = look(desk)
    assert look(desk) == often
    assert _running(desk, replace(change, id="once"), clock[0]) == _running(desk, change, clock[0])
    clock[0] -= 5 * 3600
    assert look(desk) == often, "an older look cannot undo a newer one"


def _running(desk, change, now):
    watch = Watch(desk, change, 0.95)
    watch.look(now)
    return go_on(watch, desk.state, now)


def test_states_of_watches_from_before_go_on(desk, clock):
    """A watch that ended before there was a fleet: its stored track is where evidence begins."""
    change = declared(desk, "onprem/tokyo/a")
    watch = Watch(desk, change, 0.95)
    clock[0] = CUT + 20 * 3600
    watch.look(clock[0])
    part = watch.parts[0]
    key = watch.key(part.claim)
    before = desk.state.watch(change.id, key)
    assert desk.state.watch(change.id, key + CONTINUED) is None
    running = go_on(watch, desk.state, clock[0])[0]
    assert running.last == 38
    assert running.last > part.track.last
    assert (running.verdict, running.decided) == (part.track.verdict, part.track.decided)
    assert desk.state.watch(change.id, key) == before
    assert desk.state.watch(change.id, key + CONTINUED)["last"] == running.last


def test_a_quantile_lost_after_the_verdict_ends_the_evidence(tmp_path, clock):
    """What a process that skips outages would overlook: half of the requests fail from 12 h on."""
    from support.spans import batch  # noqa: PLC0415 - only this story writes single requests

    rng = np.random.default_rng(1)
    minutes = np.repeat(np.arange(0, 9 * 1440, 5), 10)
    seconds = rng.lognormal(-2, 0.4, len(minutes)) / np.where(minutes >= 8 * 1440, 2.5, 1.0)
    seconds[minutes >= 8 * 1440 + 720] = math.inf
    now = [MONDAY]
    ingest = Ingest(tmp_path, "main", MemoryLedger(), clock=lambda: now[0])
    ingest.append(batch(seconds, minute=(int(MONDAY // 60) + minutes).astype(np.int32)))
    now[0] += 120
    ingest.close()
    state = open_state(tmp_path / "state.sqlite")
    desk = Desk(state, Lake(tmp_path / "lake"), lambda: clock[0])
    change = declared(desk, "onprem/tokyo/ocr", "2x faster at p50")
    first = _running(desk, change, CUT + 11 * 3600)[0]
    clock[0] = CUT + 20 * 3600
    (after,) = _running(desk, change, clock[0])
    assert (first.last, after.last, after.censored) == (20, 24, 1)
    assert after.verdict is Verdict.CONFIRMED
    assert after.sums.last == 23
    assert _running(desk, change, clock[0] + 3600) == (after,)
    state.close()


# -- the decision ----------------------------------------------------------------------------


def test_the_fleet_is_decided_stored_and_says_how(desk, clock):
    for name in FACTORS:
        declared(desk, name)
    clock[0] = CUT + 20 * 3600
    steps = []
    audit = watch_fleet(desk, Selection(), progress=lambda done, total: steps.append((done, total)))
    verdicts = {r.endpoint[-1]: r.verdict for r in audit.endpoints}
    assert verdicts["a"] is Verdict.CONFIRMED
    assert verdicts["c"] is Verdict.REFUTED
    assert verdicts["b"] is Verdict.INCONCLUSIVE
    assert (audit.continuous, audit.correlation, audit.notes) == (True, 0.0, (NOT_MEASURED,))
    assert audit.scope == "the newest declared change of every endpoint, watched block by block"
    assert all(r.traffic == pytest.approx(40 / 600, rel=1e-6) for r in audit.endpoints)
    assert all(r.parts[0].variance_factor is None for r in audit.endpoints)
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert desk.stored(audit.id) == audit
    assert from_document(json.loads(dumps(audit))) == audit


def test_one_endpoint_alone_sure_enough_is_not_among_many(desk):
    declared(desk, "onprem/tokyo/a")
    (found,) = look(desk, q=0.001).values()
    assert (found.alone, found.verdict) == (Verdict.CONFIRMED, Verdict.INCONCLUSIVE)
    assert found.reason.code is ReasonCode.FLEET_LEVEL
    assert re.search(
        r", as claimed; decided by the block that ended 2022-01-18 0\d:\d0Z, number \d+ after the "
        r"change; by now E is \d+; alone that is enough, among 1 endpoints it is not$",
        found.reason.text,
    )


def test_what_is_not_watched_says_why_and_decides_nothing(desk):
    declared(desk, "onprem/tokyo/a", runs=True)
    declared(desk, "onprem/tokyo/b", "2x more throughput")
    declared(desk, "onprem/tokyo/c", "cost at most 1x")
    declared(desk, "onprem/tokyo/silent")
    found = look(desk)
    codes = {name[13:]: (r.verdict, r.reason.code) for name, r in found.items()}
    assert codes == {
        "a": (Verdict.INCONCLUSIVE, ReasonCode.FIXED_WINDOW_ONLY),
        "b": (Verdict.INCONCLUSIVE, ReasonCode.FIXED_WINDOW_ONLY),
        "c": (Verdict.INCONCLUSIVE, ReasonCode.FIXED_WINDOW_ONLY),
        "silent": (Verdict.INCONCLUSIVE, ReasonCode.NO_DATA),
    }
    assert all((r.p_confirm, r.p_refute, r.traffic) == (1.0, 1.0, 0.0) for r in found.values())
    assert "audit it without --watching" in found["onprem/tokyo/a"].reason.text


# -- known truth, in small -------------------------------------------------------------------


def test_the_selection_by_one_over_e_is_e_bh():
    rng = np.random.default_rng(3)
    for _ in range(20):
        log_e = np.where(rng.random(50) < 0.3, rng.normal(6, 3, 50), -math.inf)
        p = np.minimum(1.0, np.exp(-log_e))
        assert np.array_equal(adjusted(p) <= 0.05, e_bh(log_e, 0.05))


def test_at_every_look_few_of_the_selected_are_wrong():
    # R = 3 fleets of 60 endpoints, a look at each of 48 blocks; the full table is slow.
    wrong, found = [], []
    for seed in range(3):
        shares = looked_at(np.random.default_rng([20261126, seed]), truth(24, 6))
        wrong.append(shares[:, :2])
        found.append(shares[-1, 2:])
    error = np.std(wrong, axis=0) / np.sqrt(3)
    assert np.all(np.mean(wrong, axis=0) <= 0.05 + 2 * error)
    assert np.mean(found, axis=0) == pytest.approx([1.0, 1.0], abs=0.1)


# -- the command -----------------------------------------------------------------------------


@pytest.fixture
def nibai(folder, capsys, monkeypatch, clock):
    monkeypatch.setattr("nibai.cli.fleet.time.time", lambda: clock[0])

    def run(*arguments):
        code = cli.invoke([*arguments, "--data", str(folder)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


SAID = """\
◐ PARTLY CONFIRMED  “2x faster at p50 and p90”
the newest declared change of every endpoint, watched block by block

✔ confirmed            1 of 3   33.3% of endpoints   33.3% of traffic
✘ refuted              1 of 3   33.3% of endpoints   33.3% of traffic
? inconclusive         1 of 3   33.3% of endpoints   33.3% of traffic
≠ not comparable       0 of 3    0.0% of endpoints    0.0% of traffic

Really got it: between 33.3% and 66.7% of endpoints, 33.3% and 66.7% of traffic (95% sure of each)

Furthest below the claim

 endpoint        part           measured       interval       traffic    adjusted p   verdict
 ──────────────────────────────────────────────────────────────────────────────────────────────────
 onprem/tokyo/   2x faster at   1.03x faster   [1.04x         0.0667/s   < 0.0001     ✘ refuted
 c               p50                           slower to
                                               1.10x
                                               faster]
 onprem/tokyo/   2x faster at   1.96x faster   [1.89,         0.0667/s   –            ?
 b               p50                           2.03]x                                 inconclusive


Furthest above the claim

 endpoint         part            measured       interval       traffic    adjusted p   verdict
 ──────────────────────────────────────────────────────────────────────────────────────────────────
 onprem/tokyo/a   2x faster at    2.55x faster   [2.08,         0.0667/s   < 0.0001     ✔ confirmed
                  p90                            3.13]x


Why the rest is open
  - 1 interval straddles, such as onprem/tokyo/b: p50 is 1.96x faster [1.89x faster to 2.03x
faster]: undecided so far; about 32.5 h more would decide

What is controlled
  - continuous mode: at this look, as at every other, at most 5.0% of the confirmed and 5.0% of the
refuted are expected to be wrong (e-BH: however endpoints depend on each other)
  - k endpoints are confirmed (or refuted) together when the evidence E of each is at least 60/k;
the adjusted p is 3/(k E)
  - confirmed and refuted are only endpoints whose own watch says the same

Notes
  - A/A rate: not measured; every change is watched block by block, and its evidence goes on after
its own verdict, which stays

audit fleet-0, 2022-01-18 20:00:00 UTC
"""


def test_the_command_looks_again_and_again(nibai, folder, clock):
    state = open_state(folder / "state.sqlite")
    desk = Desk(state, Lake(folder / "lake"), lambda: clock[0])
    for name in FACTORS:
        declared(desk, name)
    state.close()
    clock[0] = CUT + 20 * 3600
    code, out, err = nibai("audit", "fleet", "--watching")
    assert code == 1, "one is refuted"
    assert err.splitlines() == ["3 of 3 endpoints judged"]
    assert _without_id(out) == SAID
    assert _without_id(nibai("audit", "fleet", "--watching")[1]) == SAID


def _without_id(text):
    return re.sub(r"fleet-[0-9a-f]{8}", "fleet-0", text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--at", "2022-01-11T00:00Z"),
         "--watching and --at: only declared changes are watched, leave one of them out"),
        (("--history",), "--watching and --history: a watch reads the unchanged days before"),
        (("--any-dependence",), "--watching and --any-dependence: e-BH holds --q however"),
        (("--processes", "2"), "--watching and --processes: one process looks"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_said(nibai, arguments, said):
    code, _, err = nibai("audit", "fleet", "--watching", *arguments)
    assert code == 2
    assert said in err


def test_every_rendering_says_that_it_is_the_continuous_mode():
    audit = golden_fleet(continuous=True, correlation=0.0)
    for text in (
        TextRenderer(width=200).render_fleet(audit),
        MarkdownRenderer().render_fleet(audit),
        HtmlReport().render_fleet(audit),
    ):
        assert (
            "continuous mode: at this look, as at every other, at most 5.0% of the confirmed and "
            "5.0% of the refuted are expected to be wrong"
        ) in text
        assert "is at least 140/k; the adjusted p is 7/(k E)" in text
        assert "Benjamini" not in text
