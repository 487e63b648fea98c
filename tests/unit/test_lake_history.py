"""The past of every series from the lake: the right counts, whatever way they are read."""

import itertools
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from support.spans import batch

from nibai.model import Window
from nibai.store.lake.delta import Lake
from nibai.store.lake.maintenance import ROLL_UP, maintain
from nibai.store.series.blocks import Blocks, Engine
from nibai.store.series.history import LakeHistory, Scope, scope_of
from nibai.store.state.database import open_state
from nibai.store.wal.ingest import Ingest, MemoryLedger

DAY, HOUR = 86_400.0, 3600.0
MONDAY = 19_002 * DAY  # 2022-01-10
NAMES = ("onprem/tokyo/a", "onprem/tokyo/b", 'on\'prem/"x"/c')
WINDOW = Window(MONDAY, MONDAY + 2 * DAY)
SCOPE = Scope(WINDOW, HOUR)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two days, three endpoints; the second has two variants, the third two metrics."""
    folder = tmp_path_factory.mktemp("lake")
    now, rng = [MONDAY], np.random.default_rng(4)
    ingest = Ingest(folder, "main", MemoryLedger(), clock=lambda: now[0])
    half_hours = np.arange(2 * 48)
    for number, name in enumerate(NAMES):
        for tenant, variant in itertools.product("xy", ("v1", "v2")):
            in_v2 = (half_hours >= 60) & (number == 1)
            here = (half_hours % 2 == "xy".index(tenant)) & (in_v2 == (variant == "v2"))
            i = np.repeat(half_hours[here], 5)
            if not len(i):
                continue
            key = {"endpoint": name, "segment": f"tenant={tenant}", "variant": variant}
            key["minute"] = (MONDAY // 60 + 30 * i).astype(np.int32)
            values = rng.lognormal(-2, 0.3, len(i))
            values[::5] = np.where(i[::5] % 10 == 0, np.inf, values[::5])
            ingest.append(batch(values, **key))
            if number == 2:
                ingest.append(batch(values, **key, metric="latency_by_type"))
                rest = np.arange(len(i)) % 5 > 0
                key["minute"] = key["minute"][rest]
                ingest.append(batch(values[rest], **key, metric="ttft"))
                # Shown beside others; no detector follows it.
                ingest.append(batch(np.full(rest.sum(), 0.4), **key, metric="accelerator_use"))
    now[0] += 120
    ingest.close()
    return folder


@pytest.fixture(scope="module")
def engine(folder):
    return Engine(Lake(folder / "lake"))


def read(engine, scope=SCOPE, **options):
    return list(LakeHistory(engine, scope, **options).series())


def same(one, other):
    key = [(s.endpoint, s.variant, s.metric, s.segment) for s in (one, other)]
    ps = [0.1, 0.5, 0.99]
    return key[0] == key[1] and all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in (
            (one.histograms.n, other.histograms.n),
            (one.histograms.overflow, other.histograms.overflow),
            (one.histograms.block_log2_quantiles(ps), other.histograms.block_log2_quantiles(ps)),
        )
    )


def test_every_series_is_read_once_and_variants_also_together(engine):
    found = [(one.endpoint, one.variant, one.metric, one.segment) for one in read(engine)]
    a, b, c = NAMES
    assert sorted(found, key=str) == sorted(
        [
            (a, "v1", "latency", ""),
            (b, "v1", "latency", ""), (b, "v2", "latency", ""), (b, None, "latency", ""),
            (c, "v1", "latency", ""), (c, "v1", "ttft", ""),
        ],
        key=str,
    )  # fmt: skip


def test_the_counts_are_those_of_one_series_read_alone(engine):
    for one in read(engine):
        alone = engine.pooled(one.endpoint, one.metric, one.variant, Blocks(WINDOW, 48))
        total = sum(histograms.n for histograms in alone.values())
        assert np.array_equal(one.histograms.n, total)
        overflow = sum(histograms.overflow for histograms in alone.values())
        assert np.array_equal(one.histograms.overflow, overflow)
        assert (one.start, one.block_seconds) == (MONDAY, HOUR)


def test_reading_in_groups_changes_nothing(engine):
    whole, parts = read(engine), read(engine, max_rows=1)
    assert len(whole) == len(parts)
    assert all(same(a, b) for a, b in zip(whole, parts, strict=True))


def test_segments_by_themselves_add_up(engine):
    (pooled,) = read(engine, replace(SCOPE, endpoint=NAMES[0]))
    split = read(engine, replace(SCOPE, endpoint=NAMES[0], by_segment=True))
    assert [one.segment for one in split] == ["tenant=x", "tenant=y"]
    assert np.array_equal(pooled.histograms.n, split[0].histograms.n + split[1].histograms.n)


def test_names_are_those_of_the_series_and_some_endpoints_are_read_alone(engine):
    some = replace(SCOPE, among=frozenset(NAMES[1:]))
    found = [(one.endpoint, one.variant, one.metric, one.segment) for one in read(engine, some)]
    assert sorted(LakeHistory(engine, some).names(), key=str) == sorted(found, key=str)
    assert {endpoint for endpoint, *_ in found} == set(NAMES[1:])
    assert read(engine, replace(SCOPE, among=frozenset())) == []


def test_five_minutes_are_finer_than_hours(engine):
    fine = read(engine, Scope(WINDOW, 300.0, NAMES[0]))[0].histograms
    coarse = read(engine, Scope(WINDOW, HOUR, NAMES[0]))[0].histograms
    assert fine.blocks == 12 * coarse.blocks
    assert np.array_equal(fine.n.reshape(-1, 12).sum(axis=1), coarse.n)


def test_hours_are_read_where_days_are_rolled_up(engine, folder):
    minutes = read(engine)
    state = open_state(folder / "state.sqlite")
    maintain(Lake(folder / "lake"), state, MONDAY + 3 * DAY, retention_seconds=60 * DAY)
    rolled = state.watermark(ROLL_UP)
    state.close()
    assert rolled is not None
    hours = read(Engine(Lake(folder / "lake"), date.fromisoformat(rolled)))
    assert all(same(a, b) for a, b in zip(minutes, hours, strict=True))


def test_an_empty_lake_has_no_scope(tmp_path, engine):
    empty = Engine(Lake(tmp_path / "lake"))
    assert scope_of(empty, block_seconds=HOUR) is None
    assert read(empty) == []
    assert scope_of(engine, block_seconds=HOUR, endpoint="nobody") is None
    assert scope_of(engine, block_seconds=HOUR, since=MONDAY + 9 * DAY) is None


def test_a_scope_is_made_of_whole_blocks_of_the_clock(engine):
    """The last minute is 23:30 of the second day: its hour is not over."""
    found = scope_of(engine, block_seconds=HOUR)
    assert found.window == Window(MONDAY, MONDAY + 2 * DAY - HOUR)
    since = scope_of(engine, block_seconds=HOUR, since=MONDAY + 5400).window
    assert since.start == MONDAY + 2 * HOUR
