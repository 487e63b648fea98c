"""Following a change in the lake: what is read when, what is kept, and what it says."""

import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from support.spans import batch

from nibai import plugins
from nibai.app.audit import Desk
from nibai.app.watch import Watch
from nibai.app.watch_audit import findings_of, watched_audit
from nibai.app.watch_on import go_on
from nibai.claims import parse
from nibai.cli.watch import Lines, LiveTable, follow, table
from nibai.document import dumps, from_document, to_document
from nibai.errors import UsageError
from nibai.model import Change, ReasonCode, Verdict, Window
from nibai.store.lake.delta import Lake
from nibai.store.state.database import open_state
from nibai.store.state.watermarks import put_watermarks
from nibai.store.wal.ingest import Ingest, MemoryLedger
from nibai.store.windows.disturbances import Disturbance

DAY = 86_400.0
MONDAY = 19_002 * DAY  # 2022-01-10
DAYS_BEFORE, DAYS = 8, 9
CUT = MONDAY + DAYS_BEFORE * DAY  # Tuesday
ENDPOINT = "onprem/tokyo/ocr"
PER_STEP = 10  # requests in 5 minutes: 60 in a block of half an hour
SPEEDUP = 2.0


def traffic(seed, days=DAYS, *, speedup=SPEEDUP, failing=0.0):
    rng = np.random.default_rng(seed)
    minutes = np.repeat(np.arange(0, days * 1440, 5), PER_STEP)
    drift = rng.normal(0, 0.05, days * 48)[minutes // 30]
    seconds = rng.lognormal(-2, 0.4, len(minutes)) * np.exp(drift)
    after = minutes >= DAYS_BEFORE * 1440
    seconds[after] /= speedup
    seconds[after & (rng.random(len(minutes)) < failing)] = np.inf
    return seconds, (int(MONDAY // 60) + minutes).astype(np.int32)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Eight unchanged days and one that is twice as fast; other endpoints for other stories."""
    folder = tmp_path_factory.mktemp("watched")
    now = [MONDAY]
    ingest = Ingest(folder, "main", MemoryLedger(), clock=lambda: now[0])
    seconds, minutes = traffic(1)
    ingest.append(batch(seconds, minute=minutes))
    seconds, minutes = traffic(2, speedup=1.0)
    ingest.append(batch(seconds, minute=minutes, endpoint="onprem/tokyo/same"))
    seconds, minutes = traffic(3, speedup=1.0, failing=0.7)
    ingest.append(batch(seconds, minute=minutes, endpoint="onprem/tokyo/failing"))
    for name, how in (
        ("coarse", {"scale": 1, "provenance": "tc"}),
        ("fitted", {"provenance": "percentile_fit"}),
    ):
        seconds, minutes = traffic(1)
        ingest.append(batch(seconds, minute=minutes, endpoint=f"onprem/tokyo/{name}", **how))
    for variant, host in (("fp32", "a"), ("int8", "b")):
        seconds, minutes = traffic(4, speedup=1.0)
        ingest.append(
            batch(seconds, minute=minutes, endpoint="onprem/tokyo/two", variant=variant,
                  replica=host)
        )  # fmt: skip
    now[0] += 120
    ingest.close()
    return folder


class Clock:
    """A clock that sleeping moves on."""

    def __init__(self, now):
        self.now = now
        self.naps = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.naps.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock(CUT + 600)


@pytest.fixture
def desk(lake, tmp_path, clock):
    state = open_state(tmp_path / "state.sqlite")
    yield Desk(state, Lake(lake / "lake"), clock)
    state.close()


def declared(desk, *claims, endpoint=ENDPOINT, **more):
    given = {"effective_at": CUT, **more}
    sentences = tuple(parse(claim) for claim in claims)
    return desk.declare(Change("", endpoint, sentences=sentences, **given))


def watched(desk, clock, change, *, every=3600.0, limit=DAY, display=None):
    class Silent:
        def show(self, watch, now, next_look):
            del watch, now, next_look

    return follow(
        desk, change, level=0.95, every=every, limit=limit, sleep=clock.sleep,
        display=display or Silent(),
    )  # fmt: skip


# -- looks -----------------------------------------------------------------------------------


def test_a_true_claim_is_confirmed_as_soon_as_a_block_allows(desk, clock):
    change = declared(desk, "1.6x faster at p50")
    audit = watched(desk, clock, change)
    (finding,) = audit.findings
    assert audit.verdict is Verdict.CONFIRMED
    assert finding.estimate.low > 1.6
    assert finding.reason.text.startswith("p50 is ")
    assert "as claimed; decided by the block that ended 2022-01-18 " in finding.reason.text
    blocks = finding.evidence.blocks
    assert 8 <= blocks <= 20
    assert clock.now <= CUT + blocks * 1800 + 600 + 3600, "nothing was waited for after that"
    assert finding.evidence.log_e_value > np.log(20)
    assert finding.evidence.scope == "live window, watched block by block"
    assert desk.stored(audit.id) == from_document(to_document(audit))


@pytest.mark.parametrize("every", [600.0, 10_000.0])
def test_when_and_how_often_one_looks_changes_nothing(desk, clock, every):
    change = declared(desk, "1.6x faster at p50, 1.6x faster at p90", "3x faster at p50")
    often = Watch(desk, change, 0.95)
    limit = CUT + 7 * 3600
    while clock.now < limit:
        often.look(clock.now)
        clock.sleep(every)
    once = Watch(desk, replace(change, id="another"), 0.95)
    often.look(limit + 600)
    once.look(limit + 600)
    assert [part.track for part in often.parts] == [part.track for part in once.parts]
    assert often.decided


def test_a_verdict_stays_and_later_looks_repeat_it(desk, clock):
    change = declared(desk, "1.6x faster at p50")
    first = watched(desk, clock, change)
    clock.sleep(DAY)
    again = watched(desk, clock, change)
    assert again.findings == first.findings
    assert again.id != first.id


def test_interrupted_between_looks_the_next_watch_goes_on(desk, clock):
    change = declared(desk, "1.6x faster at p50")
    naps = []

    def interrupted(seconds):
        naps.append(seconds)
        clock.now += seconds
        if len(naps) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(desk, change, level=0.95, every=1800.0, limit=DAY, sleep=interrupted,
               display=Lines())  # fmt: skip
    stored = desk.state.watch(change.id, "latency | 1.6x faster at p50 | 0.95")
    assert stored["last"] == 3
    resumed = watched(desk, clock, change)
    fresh = watched(desk, clock, replace(change, id="fresh"))
    assert resumed.findings == fresh.findings


def test_an_older_look_cannot_undo_a_newer_one(desk, clock):
    change = declared(desk, "1.6x faster at p50")
    clock.now = CUT + 3 * 3600
    late, early = Watch(desk, change, 0.95), Watch(desk, change, 0.95)
    early.look(CUT + 3600)
    late.look(clock.now)
    early.look(CUT + 2 * 3600)  # blocks have closed: the state is asked again
    assert early.parts == late.parts


def test_what_arrives_after_a_block_was_read_is_not_added(tmp_path, clock):
    """The first reading counts: requests of a closed block that come later change no verdict."""
    folder = tmp_path / "late"
    now = [MONDAY]
    ingest = Ingest(folder, "main", MemoryLedger(), clock=lambda: now[0])
    seconds, minutes = traffic(1)
    ingest.append(batch(seconds, minute=minutes))
    now[0] += 120
    ingest.fold()
    state = open_state(tmp_path / "late.sqlite")
    desk = Desk(state, Lake(folder / "lake"), clock)
    change = declared(desk, "1.9x faster at p50")
    clock.now = CUT + 6 * 3600
    watch = Watch(desk, change, 0.95)
    watch.look(clock.now)
    before = watch.parts
    ingest.append(batch(np.full(5000, 9.0), minute=int(CUT // 60) + 5))
    now[0] += 120
    ingest.close()
    watch.look(clock.now)
    assert watch.parts == before
    fixed = desk.audit(change)
    assert fixed.candidate.requests > 5000, "the fixed-window audit reads everything"
    state.close()


def test_a_block_counts_only_after_it_settled_and_the_lake_has_gone_on(desk):
    change = declared(desk, "1.6x faster at p50")
    watch = Watch(desk, change, 0.95)
    watch.look(CUT + 1800 + 299)
    assert watch.parts[0].track.last == -1
    assert watch.next_close(CUT + 1800 + 299) == CUT + 1800 + 300
    watch.look(CUT + 1800 + 300)
    assert watch.parts[0].track.last == 0
    same = declared(desk, "2x faster at p50", endpoint="onprem/tokyo/same")
    ended = Watch(desk, same, 0.95)
    ended.look(CUT + 5 * DAY)
    assert ended.parts[0].track.last <= 47, "no block without data after it"


def test_a_block_of_a_pulled_source_counts_when_its_minutes_are_final(tmp_path, clock):
    state, now = open_state(tmp_path / "state.sqlite"), [MONDAY]
    ingest = Ingest(tmp_path, "main", MemoryLedger(), clock=lambda: now[0])
    seconds, minutes = traffic(1)
    read = minutes < CUT // 60 + 60
    endpoint = "sagemaker/123456789012.eu-west-1/chat"
    ingest.append(batch(seconds[read], minute=minutes[read], endpoint=endpoint))
    now[0] += 120
    ingest.close()
    brings = [(endpoint, "fp32", "latency")]
    desk = Desk(state, Lake(tmp_path / "lake"), clock)
    change = declared(desk, "1.6x faster at p50", endpoint=endpoint)
    put_watermarks(state, "cw", {}, {"gone": CUT - 2 * DAY}, {"gone": brings})
    for until, closed in ((CUT + 1680, -1), (CUT + 1800, 0)):
        read = {"chat": until + 1800}
        put_watermarks(state, "cw", read, {"chat": until}, {"chat": brings})
        watch = Watch(desk, change, 0.95)
        watch.look(CUT + 7200)
        assert watch.parts[0].track.last == closed
    state.close()


# -- verdicts --------------------------------------------------------------------------------


def test_a_false_claim_is_refuted_and_a_conjunction_waits_for_its_share_of_alpha(desk, clock):
    """Three parts: one needs E of 60 against it, not 20."""
    change = declared(desk, "3x faster at p50, errors up at most 50pp, 1.6x faster at p90")
    audit = watched(desk, clock, change)
    assert audit.verdict is Verdict.REFUTED
    refuted = audit.findings[0]
    assert refuted.verdict is Verdict.REFUTED
    assert refuted.evidence.p_refute <= 0.025 / 3
    assert "not “3x faster at p50”" in refuted.reason.text


def test_unchanged_traffic_is_followed_until_the_time_is_over(desk, clock):
    change = declared(desk, "1.02x faster at p50", endpoint="onprem/tokyo/same")
    audit = watched(desk, clock, change, limit=8 * 3600.0)
    (finding,) = audit.findings
    assert audit.verdict is Verdict.INCONCLUSIVE
    assert finding.reason.code is ReasonCode.INTERVAL_STRADDLES
    assert finding.evidence.blocks == 16
    assert sum(clock.naps) == 8 * 3600
    assert "A/A rate: not measured" in finding.evidence.notes


def test_errors_are_decided_by_blocks_and_by_counts(desk, clock):
    change = declared(desk, "errors up at most 20pp", endpoint="onprem/tokyo/failing")
    audit = watched(desk, clock, change)
    (finding,) = audit.findings
    assert finding.verdict is Verdict.REFUTED
    assert 0.2 < finding.estimate.low < 0.7 < finding.estimate.high
    assert finding.reason.text.startswith("errors changed by +")


def test_how_many_requests_errors_need_is_said(desk, clock):
    change = declared(desk, "errors up at most 66pp", endpoint="onprem/tokyo/failing")
    audit = watched(desk, clock, change, limit=5 * 3600)
    (finding,) = audit.findings
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert re.search(
        r"undecided so far; about [\d.]+ (h|d) more would decide; at these shares of failures the "
        r"counts need [\d,]+ requests a side \([\d,]+ in a test at one time chosen beforehand\), "
        r"and have 600$",
        finding.reason.text,
    ), finding.reason.text


def test_a_quantile_among_failed_requests_decides_nothing(desk, clock):
    change = declared(desk, "2x faster at p50", endpoint="onprem/tokyo/failing")
    audit = watched(desk, clock, change)
    (finding,) = audit.findings
    assert (finding.verdict, finding.reason.code) == (Verdict.INCONCLUSIVE, ReasonCode.CENSORED)
    assert clock.now == CUT + 600 + 3600, "the first such block ends the watch"


@pytest.mark.parametrize(
    ("given", "claim", "code"),
    [
        ({}, "2x more throughput", ReasonCode.FIXED_WINDOW_ONLY),
        ({}, "2x faster at p99.9", ReasonCode.TOO_FEW_REQUESTS),
        ({"effective_at": MONDAY}, "2x faster at p50", ReasonCode.NO_DATA),
        ({"effective_at": MONDAY + 6 * 3600}, "2x faster at p50", ReasonCode.NO_DATA),
        ({"evidence": {"setup_defect": "debug build"}}, "2x faster at p50",
         ReasonCode.SETUP_DEFECT),
        ({"effective_at": None, "baseline_variant": "fp32", "candidate_variant": "int8",
          "endpoint": "onprem/tokyo/two"}, "2x faster at p50", ReasonCode.FIXED_WINDOW_ONLY),
    ],
)  # fmt: skip
def test_what_blocks_cannot_decide_says_so_and_is_not_waited_for(desk, clock, given, claim, code):
    clock.now = CUT + DAY
    audit = watched(desk, clock, declared(desk, claim, **given))
    assert audit.findings[0].reason.code is code
    assert audit.verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_COMPARABLE)
    assert clock.naps == []


def test_how_the_blocks_were_recorded_widens_the_sequence(desk):
    tracks = {}
    for name in ("ocr", "coarse", "fitted"):
        watch = Watch(desk, declared(desk, "2.2x faster", endpoint=f"onprem/tokyo/{name}"), 0.95)
        watch.look(CUT + DAY)
        tracks[name] = watch.parts[1].track
        finding = watched_audit(desk, watch).findings[1]
        noted = [note for note in finding.evidence.notes if "wider below" in note]
        assert bool(noted) == (finding.evidence.recording_error is not None) == (name != "ocr")
    assert tracks["ocr"].error.nothing
    assert tracks["fitted"].error.below == pytest.approx(np.log2(1.03))
    coarse = tracks["coarse"]
    assert coarse.low == coarse.block_low - coarse.error.below
    assert coarse.low < np.log2(SPEEDUP) < coarse.high
    assert coarse.error.above > 0.01


def test_a_claim_within_the_width_of_the_buckets_is_not_waited_for_with_a_figure(desk):
    watch = Watch(desk, declared(desk, "2x faster at p50", endpoint="onprem/tokyo/coarse"), 0.95)
    watch.look(CUT + DAY / 2)
    (finding,) = watched_audit(desk, watch).findings
    assert finding.reason.code is ReasonCode.RECORDED_TOO_COARSE
    assert "more blocks would not decide: buckets are wide" in finding.reason.text


def test_above_p99_percentiles_are_no_basis_for_a_watch(desk, clock):
    change = declared(desk, "2x faster at p99.9", endpoint="onprem/tokyo/fitted")
    (finding,) = watched(desk, clock, change).findings
    assert finding.reason.code is ReasonCode.ONLY_PERCENTILES
    assert "only percentiles were recorded before the change" in finding.reason.text


def test_the_next_change_ends_the_watch(desk):
    change = declared(desk, "1.9x faster at p50")
    second = declared(desk, "2x faster", effective_at=CUT + 3 * 3600)
    declared(desk, "2x faster", effective_at=CUT + 1800)  # landed with it
    watch = Watch(desk, change, 0.95)
    watch.look(CUT + DAY)
    (part,) = watch.parts
    assert (part.track.last, watch.over, watch.next_close(CUT + DAY)) == (5, True, None)
    (finding,) = findings_of(watch)
    assert finding.reason.code is ReasonCode.NO_DATA
    assert finding.reason.text.endswith(
        f"undecided, and it stays so: the evidence ends at change {second.id} at "
        "2022-01-18T03:00:00Z, what came later is not the effect of this change"
    )
    assert all(track.last == 5 for track in go_on(watch, desk.state, CUT + DAY))


def test_a_deployment_that_did_not_stay_leaves_a_gap(desk):
    """Its blocks count for nothing, and those after it go on."""
    change = declared(desk, "1.9x faster at p50")
    passed = Disturbance(Window(CUT + 2.2 * 3600, CUT + 2.7 * 3600), "a roll-back", passing=True)
    watch = Watch(desk, change, 0.95, [passed])
    watch.look(CUT + 6 * 3600)
    (track,) = (part.track for part in watch.parts)
    assert (track.last, track.thin, track.sums.blocks) == (10, 2, 9)


def test_runs_are_not_watched(desk):
    with pytest.raises(UsageError, match="measured in runs"):
        Watch(desk, declared(desk, "2x faster", runs=True), 0.95)


@pytest.mark.usefixtures("undrawn")
def test_the_audit_is_a_valid_document(desk, clock):
    claims = ("2x faster at p50, errors up at most 1pp", "2x more throughput", "cost at most 1x")
    change = declared(desk, *claims)
    clock.now = CUT + 3600
    watch = Watch(desk, change, 0.95)
    watch.look(clock.now)
    audit = watched_audit(desk, watch)
    assert dumps(from_document(to_document(audit))) == dumps(audit)
    assert audit.notes[0].startswith("watched block by block")
    for form in ("html", "markdown", "text"):
        assert "watched block by block" in plugins.load("nibai.renderers", form).render(audit)


def test_a_side_without_data_is_waited_for(desk, clock):
    change = declared(desk, "2x faster at p50", endpoint="onprem/tokyo/silent")
    audit = watched(desk, clock, change, limit=7200.0)
    assert clock.naps == [3600.0, 3600.0]
    assert audit.findings[0].reason.text == "no latency of one side yet"


# -- what is shown -----------------------------------------------------------------------------


def test_one_line_per_look_outside_a_terminal(desk, clock, capsys):
    change = declared(desk, "1.6x faster at p50", "2x more throughput")
    watched(desk, clock, change, display=Lines())
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(clock.naps) + 1
    assert lines[0] == (
        "2022-01-18 00:10Z  p50: nothing known yet, E 1 of 20, 0 blocks, inconclusive; "
        "2x more throughput: decided by the fixed-window audit only, inconclusive; "
        "next look 2022-01-18 01:10Z, the next block counts from 2022-01-18 00:35Z"
    )
    assert "E " in lines[-1]
    assert "confirmed; 2x more" in lines[-1]
    assert lines[-1].endswith("nothing more to wait for, or out of time")


def test_the_table_on_a_terminal(desk, clock, capsys):
    change = declared(desk, "1.6x faster at p50")
    watch = Watch(desk, change, 0.95)
    clock.now = CUT + 4 * 3600
    watch.look(clock.now)
    console = Console(width=110, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(table(watch, clock.now, clock.now + 300))
    text = captured.get()
    for words in (f"watching {change.id} on {ENDPOINT}", "now [95% at all times]", "p50", "of 20",
                  "7 blocks, about", "next look 2022-01-18 04:05Z"):  # fmt: skip
        assert words in text
    with LiveTable() as live:
        live.show(watch, clock.now, None)
    assert "watching" in capsys.readouterr().err
