"""What every registered scanner owes, whatever it looks for."""

from dataclasses import replace

import numpy as np
import pytest
from support.histories import Past, hours

from nibai import plugins
from nibai.histogram import BlockHistograms
from nibai.model import Change
from nibai.protocols import Scanner

NAMES = [entry.name for entry in plugins.registered("nibai.scanners")]


@pytest.fixture(params=NAMES)
def scanner(request):
    return plugins.load("nibai.scanners", request.param)


def test_it_is_a_scanner(scanner):
    assert isinstance(scanner, Scanner)


def test_unchanged_series_stay_quiet(scanner):
    found = scanner.scan(Past([hours(seed, blocks=168) for seed in range(20)]), [])
    assert found.series == 20
    assert found.changes == ()


def test_an_empty_past_has_nothing(scanner):
    found = scanner.scan(Past([]), [Change("c", "a", effective_at=0.0)])
    assert (found.series, found.thin, found.changes) == (0, 0, ())


@pytest.mark.parametrize("blocks", [0, 1, 30])
def test_thin_series_are_counted_as_such(scanner, blocks):
    one = hours(1, blocks=max(blocks, 1))
    empty = BlockHistograms.empty(blocks)
    for histograms in (empty, one.histograms if blocks else empty):
        found = scanner.scan(Past([replace(one, histograms=histograms)]), [])
        assert (found.thin, found.changes) == (1, ())


def test_constant_and_failed_series_do_not_break(scanner):
    block = np.repeat(np.arange(100), 60)
    for value in (0.0, 0.1, np.inf):
        histograms = BlockHistograms.from_values(np.full(len(block), value), block, blocks=100)
        given = replace(hours(1, blocks=100), histograms=histograms)
        assert scanner.scan(Past([given]), []).changes == ()
