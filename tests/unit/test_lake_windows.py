"""The two sides of a change from the lake: which minutes, which blocks, and what forbids it."""

from datetime import date

import numpy as np
import pytest
from support.spans import batch

from analyzers.gates import no_data
from nibai.document import iso
from nibai.errors import UsageError
from nibai.histogram import BlockHistograms, merge
from nibai.model import Change, ReasonCode, UnitKind, Window, WindowKind
from nibai.store.lake.delta import Lake
from nibai.store.series.blocks import Blocks, Engine
from nibai.store.wal.ingest import Ingest, MemoryLedger
from nibai.store.windows.disturbances import Disturbance
from nibai.store.windows.sides import LakeWindows
from nibai.store.windows.stated import require_sides
from nibai.store.windows.unread import Reads

DAY = 86_400.0
MONDAY = 19_002 * DAY  # 2022-01-10
ENDPOINT = "onprem/tokyo/ocr"


class Filled:
    """A lake filled through the real write path, and the values that went in."""

    def __init__(self, folder):
        self.now = MONDAY
        self.ingest = Ingest(folder, "main", MemoryLedger(), clock=lambda: self.now)
        self.engine = Engine(Lake(folder / "lake"))
        self.rng = np.random.default_rng(9)

    def put(self, start, seconds, *, step=600, n=6, scale=1.0, **key):
        moments = np.arange(start, start + seconds, step)
        values = scale * self.rng.lognormal(-2, 0.4, (len(moments), n))
        self.ingest.append(batch(values.ravel(), minute=np.repeat(moments // 60, n), **key))
        return list(zip(moments, values, strict=True))

    def fold(self):
        self.now += 120
        self.ingest.fold()

    def compare(self, metric="latency", **change):
        found = LakeWindows(self.engine, Change("c", ENDPOINT, **change))
        return found.comparison(metric)


@pytest.fixture
def lake(tmp_path):
    filled = Filled(tmp_path)
    yield filled
    filled.ingest.close()


def test_before_and_after_are_equal_stretches_at_the_same_clock(lake):
    lake.put(MONDAY, 2 * DAY)
    lake.put(MONDAY + 2 * DAY, 1.4 * DAY, scale=0.5)
    lake.fold()
    found = lake.compare(effective_at=MONDAY + 2 * DAY)
    assert found.gate is None
    assert (found.kind, found.unit, found.same_hosts) == (WindowKind.LIVE, UnitKind.BLOCK, True)
    windows = [side.replicas[0].window for side in (found.baseline, found.candidate)]
    assert [window.seconds for window in windows] == [DAY, DAY]
    assert windows[1].start == MONDAY + 2 * DAY
    assert (windows[1].start - windows[0].start) % DAY == 0
    assert len(found.baseline.replicas[0].block_starts) == 24


def test_blocks_hold_exactly_the_requests_of_their_time(lake):
    values = lake.put(MONDAY, DAY, segment="size=small")
    lake.put(MONDAY, DAY, segment="size=large")
    lake.put(MONDAY, DAY, variant="other")
    lake.fold()
    blocks = Blocks(Window(MONDAY, MONDAY + DAY), 24)
    found = lake.engine.blocks(ENDPOINT, "latency", "fp32", blocks)
    series = found["r1"]["size=small"]
    block = np.repeat([int((moment - MONDAY) // 3600) for moment, _ in values], 6)
    flat = np.concatenate([chunk for _, chunk in values])
    expected = BlockHistograms.from_values(flat, block, blocks=24)
    assert series.histograms.log2_quantile([0.1, 0.5, 0.99]) == pytest.approx(
        expected.log2_quantile([0.1, 0.5, 0.99])
    )
    assert series.histograms.n.tolist() == expected.n.tolist()
    assert series.sums == pytest.approx(np.bincount(block, weights=flat, minlength=24))


def test_two_variants_side_by_side_use_what_they_share(lake):
    for variant in ("fp32", "int8"):
        lake.put(MONDAY, DAY, variant=variant)
    lake.fold()
    found = lake.compare(baseline_variant="fp32", candidate_variant="int8")
    assert (found.baseline.label, found.candidate.label) == ("fp32", "int8")
    assert found.gate is None
    assert found.unit is UnitKind.BLOCK, "one replica name on both sides: the same host"


def test_variants_on_different_hosts_make_the_host_the_unit(lake):
    for variant, host in (("fp32", "a"), ("fp32", "b"), ("int8", "c"), ("int8", "d")):
        lake.put(MONDAY, DAY, variant=variant, replica=host)
    lake.fold()
    found = lake.compare(baseline_variant="fp32", candidate_variant="int8")
    assert found.unit is UnitKind.HOST
    assert [replica.name for replica in found.candidate.replicas] == ["c", "d"]


def test_runs_are_matched_by_the_name_without_the_variant(lake):
    for r in (2, 1, 3):
        for variant in ("fp32", "int8"):
            lake.put(MONDAY + r * 600, 120, step=60, variant=variant, replica=f"{variant}-r{r}")
    lake.fold()
    found = lake.compare(baseline_variant="fp32", candidate_variant="int8", runs=True)
    assert (found.kind, found.unit, found.matched) == (WindowKind.RUNS, UnitKind.RUN, True)
    names = [
        [replica.name for replica in side.replicas] for side in (found.baseline, found.candidate)
    ]
    assert names == [[f"{v}-r{r}" for r in (1, 2, 3)] for v in ("fp32", "int8")]
    assert [replica.design_point for replica in found.baseline.replicas] == ["r1", "r2", "r3"]
    assert all(
        int(s.histograms.n.sum()) == 12 for s in found.baseline.replicas[0].segments.values()
    )


def test_runs_without_partner_are_compared_unmatched(lake):
    lake.put(MONDAY, 120, step=60, variant="fp32", replica="fp32-a")
    lake.put(MONDAY, 120, step=60, variant="int8", replica="int8-b")
    lake.fold()
    found = lake.compare(baseline_variant="fp32", candidate_variant="int8", runs=True)
    assert not found.matched
    assert "unmatched" in found.notes[0]


def test_morning_against_afternoon_is_not_comparable(lake):
    lake.put(MONDAY, DAY)
    lake.fold()
    found = lake.compare(
        baseline_window=Window(MONDAY, MONDAY + 6 * 3600),
        candidate_window=Window(MONDAY + 8 * 3600, MONDAY + 14 * 3600),
    )
    assert found.gate.code is ReasonCode.UNMATCHED_CLOCK


def test_a_declared_defect_forbids_a_verdict(lake):
    lake.put(MONDAY, DAY)
    lake.fold()
    found = lake.compare(effective_at=MONDAY + DAY / 2, evidence={"setup_defect": "debug build"})
    assert found.gate.code is ReasonCode.SETUP_DEFECT
    assert "debug build" in found.gate.text


def test_an_unknown_metric_or_an_empty_lake_has_no_comparison(lake, tmp_path):
    assert lake.compare(effective_at=MONDAY) is None
    lake.put(MONDAY, 3600)
    lake.fold()
    assert lake.compare("ttft", effective_at=MONDAY + 1800) is None
    assert Engine(Lake(tmp_path / "nowhere")).endpoints() == []


def test_one_side_without_data_keeps_both_sides(lake):
    lake.put(MONDAY, DAY, variant="fp32")
    lake.fold()
    found = lake.compare(baseline_variant="fp32", candidate_variant="int8")
    assert found is not None
    assert (
        sum(int(s.histograms.n.sum()) for s in found.candidate.replicas[0].segments.values()) == 0
    )


def test_a_name_with_quotes_is_only_a_name(lake):
    name = "o'hara; DROP TABLE hist --"
    lake.put(MONDAY, 3600, variant=name)
    lake.fold()
    (span,) = lake.engine.spans(ENDPOINT, "latency")
    assert span.variant == name
    blocks = Blocks(Window(MONDAY, MONDAY + 3600), 1)
    assert lake.engine.blocks(ENDPOINT, "latency", name, blocks)


def test_days_are_read_from_hours_or_minutes_never_both(lake):
    lake.put(MONDAY, 2 * DAY)
    lake.fold()
    window = Window(MONDAY, MONDAY + 2 * DAY)
    rolled = Engine(lake.engine._lake, date(2022, 1, 10))
    # Nothing was rolled up: an engine that believes so must not fall back to the minutes.
    found = rolled.blocks(ENDPOINT, "latency", None, Blocks(window, 48))
    series = found["r1"][""]
    assert series.histograms.n[:24].sum() == 0
    assert series.histograms.n[24:].sum() == 144 * 6
    # Blocks that are no whole hours need minutes everywhere.
    odd = rolled.blocks(ENDPOINT, "latency", None, Blocks(window, 96))
    assert odd["r1"][""].histograms.n.sum() == 288 * 6


def test_a_change_must_say_what_to_compare():
    with pytest.raises(UsageError, match="declare --at TIME, two variants"):
        require_sides(Change("c", ENDPOINT))


def test_load_is_matched_on_arrivals_from_the_cells(lake):
    """Two days of one rhythm: strata of load, the same counts, histograms that add up."""
    for day, level in ((0, 1.0), (1, 0.9)):
        for hour in range(24):
            lake.put(
                MONDAY + day * DAY + hour * 3600, 3600, step=300,
                n=max(round(level * 40 * np.exp(np.sin(hour / 24 * 2 * np.pi))), 1),
            )  # fmt: skip
    lake.fold()
    found = lake.compare(effective_at=MONDAY + DAY)
    assert found.load is not None
    assert 0.7 < found.load.overlap < 1
    assert found.load.slot_seconds == 300.0
    assert found.notes[1].startswith("load: a median of ")
    assert found.baseline.replicas[0].window == Window(MONDAY, MONDAY + DAY), "ends at the cut"
    series = found.baseline.replicas[0].segments[""]
    assert len(series.strata) == len(found.load.edges) + 1
    assert merge(series.strata).n.tolist() == series.histograms.n.tolist()
    plain = lake.engine.blocks(ENDPOINT, "latency", None, Blocks(Window(MONDAY, MONDAY + DAY), 24))[
        "r1"
    ][""]
    assert series.histograms.counts.tolist() == plain.histograms.counts.tolist()
    # Each slot lies in one stratum: no block has more strata than slots.
    assert all(sum(part.n[g] > 0 for part in series.strata) <= 12 for g in range(24))


def test_failed_requests_are_arrivals(lake):
    lake.ingest.append(batch(np.array([0.1, np.inf, np.inf]), minute=int(MONDAY // 60)))
    lake.fold()
    window = Window(MONDAY, MONDAY + 3600)
    arrivals = lake.engine.arrivals(ENDPOINT, "latency", None, window, 300.0)
    assert arrivals.tolist() == [[3, *[0] * 11]]


def test_steady_load_is_not_cut_into_strata(lake):
    lake.put(MONDAY, 2 * DAY, step=300, n=30)
    lake.fold()
    found = lake.compare(effective_at=MONDAY + DAY)
    assert found.load.edges == ()
    assert found.baseline.replicas[0].segments[""].strata == ()
    assert "it barely varies, not matched" in found.notes[1]


def test_long_windows_look_at_load_by_the_hour(lake):
    rolled = Engine(lake.engine._lake, date(2022, 2, 1))
    week = Blocks(Window(MONDAY, MONDAY + 7 * DAY), 28)
    assert rolled.slot_seconds(week) == 3600.0
    assert rolled.slot_seconds(Blocks(Window(MONDAY, MONDAY + DAY), 24)) == 300.0
    assert lake.engine.slot_seconds(week) == 300.0, "without roll-ups there are only minutes"


@pytest.mark.parametrize("days_after", [0.5, 1.2])
def test_the_minutes_of_a_deployment_belong_to_neither_side(lake, days_after):
    """A canary and its bake: old and new fleet answer under one name."""
    over = MONDAY + 3 * DAY + 3600
    lake.put(MONDAY, 3 * DAY + 3600 + days_after * DAY)
    lake.fold()
    found = lake.compare(effective_at=over, started_at=over - 2400)
    assert found.gate is None
    before, after = (side.replicas[0].window for side in (found.baseline, found.candidate))
    assert before.end <= over - 2400
    assert after.start == over
    assert before.seconds == after.seconds == pytest.approx(min(days_after, 1) * DAY, rel=0.02)
    assert (after.start - before.start) % DAY == 0


def test_a_deployment_that_leaves_little_time_before_it_is_compared_next_to_it(lake):
    lake.put(MONDAY, 4 * 3600)
    lake.fold()
    found = lake.compare(effective_at=MONDAY + 2 * 3600, started_at=MONDAY + 1.5 * 3600)
    before, after = (side.replicas[0].window for side in (found.baseline, found.candidate))
    assert (before.end, after.start) == (MONDAY + 1.5 * 3600, MONDAY + 2 * 3600)


def test_windows_end_where_another_change_of_the_variant_begins(lake):
    lake.put(MONDAY, 3 * DAY)
    lake.fold()
    cut = MONDAY + DAY
    change = Change("c", ENDPOINT, effective_at=cut, baseline_variant="fp32",
                    candidate_variant="fp32")  # fmt: skip
    later = Disturbance(Window(cut + 8 * 3600, cut + 9 * 3600), "another")
    found = LakeWindows(lake.engine, change, [later]).comparison("latency")
    windows = [side.replicas[0].window for side in (found.baseline, found.candidate)]
    assert windows == [Window(cut - DAY, cut - DAY + 8 * 3600), Window(cut, cut + 8 * 3600)]
    assert "the windows are the change's own: they end before another" in found.notes


def test_nothing_after_a_change_is_no_data_since_and_not_a_silent_pass(tmp_path):
    lake = Filled(tmp_path)
    lake.put(MONDAY, DAY)
    lake.fold()
    newest = MONDAY + DAY - 540
    change = Change("chg", ENDPOINT, effective_at=MONDAY + DAY + 600)
    found = LakeWindows(lake.engine, change).comparison("latency")
    assert found.gate.code is ReasonCode.NO_DATA
    assert found.gate.text.startswith(f"no data since {iso(newest)}: nothing of latency after the")
    lake.put(MONDAY + DAY + 600, 3600)
    lake.fold()
    gate = LakeWindows(lake.engine, change).comparison("latency").gate
    assert gate is None or gate.code is not ReasonCode.NO_DATA


def test_base_statistics_alone_are_no_distribution_and_said_to_be_none(tmp_path):
    lake = Filled(tmp_path)
    lake.put(MONDAY, 2 * DAY, provenance="scalar")
    lake.fold()
    change = Change("chg", ENDPOINT, effective_at=MONDAY + DAY)
    found = LakeWindows(lake.engine, change).comparison("latency")
    reason = no_data(found, (0, 0))
    assert reason.text.startswith("no distribution of latency of the baseline (before) and the")
    assert "only count, sum, minimum and maximum were recorded" in reason.text


def test_a_client_whose_clock_is_ahead_does_not_stretch_the_windows(lake):
    """One request of another year, and nothing before the change was as long as "after"."""
    lake.put(MONDAY, 4 * DAY)
    lake.put(MONDAY + 400 * DAY, 60, n=1)
    lake.fold()
    change = Change("c", ENDPOINT, effective_at=MONDAY + 2 * DAY)
    now = MONDAY + 4 * DAY
    found = LakeWindows(lake.engine, change, reads=Reads(now=now)).comparison("latency")
    (before,), (after,) = found.baseline.replicas, found.candidate.replicas
    assert after.block_starts[-1] + after.block_seconds <= now
    assert before.segments[""].histograms.n.sum() == 2 * 144 * 6
