"""The scores of change points, on cases worked out by hand, and the layout that is read."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "bench" / "evaluate" / "tcpd.py"


@pytest.fixture(scope="module")
def tcpd():
    spec = importlib.util.spec_from_file_location("tcpd_under_test", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def sets(*marks):
    return [frozenset(one) for one in marks]


def test_f1_by_hand(tcpd):
    assert tcpd.f1(sets([50]), [50]) == 1.0
    assert tcpd.f1(sets([50]), [55]) == 1.0
    assert tcpd.f1(sets([50]), [56]) == pytest.approx(0.5), "0 is right, the other wrong"
    assert tcpd.f1(sets([], []), []) == 1.0
    # Two of four annotators mark nothing: recall (1 + 1 + 1/2 + 1/2) / 4, precision 1.
    assert tcpd.f1(sets([], [], [40], [42]), []) == pytest.approx(2 * 0.75 / 1.75)
    # Three said, of which 0 and 41 are right for somebody; both who marked are found.
    assert tcpd.f1(sets([], [40]), [41, 80]) == pytest.approx(2 * (2 / 3) / (1 + 2 / 3))


def test_a_said_change_is_used_once(tcpd):
    assert tcpd.matched({10, 12}, {11}, 5) == 1
    assert tcpd.matched({1, 10, 20, 23}, {3, 8, 20}, 5) == 3
    assert tcpd.matched(set(), {1}, 5) == 0


def test_covering_by_hand(tcpd):
    assert tcpd.covering(sets([30]), [30], 100) == 1.0
    assert tcpd.covering(sets([]), [50], 100) == 0.5
    # Segments 30 and 70 long inside one of 100.
    assert tcpd.covering(sets([30]), [], 100) == pytest.approx(0.3 * 0.3 + 0.7 * 0.7)


def test_a_folder_is_scored_and_averaged(tcpd, tmp_path):
    folder = tmp_path / "tcpd"
    folder.mkdir()
    noise = np.random.default_rng(1).normal(size=200)
    stepped = 100 + noise + np.repeat([0.0, 9.0], 100)
    for name, dimensions in (("step", 1), ("pair", 2)):
        series = [{"raw": stepped.tolist()}] * dimensions
        document = {"name": name, "n_dim": dimensions, "series": series}
        (folder / f"{name}.json").write_text(json.dumps(document))
    marks = {"step": {"6": [100], "7": [99]}, "pair": {"6": []}, "elsewhere": {}}
    (folder / "annotations.json").write_text(json.dumps(marks))
    rows = tcpd.run(
        tmp_path, {"every fifth": lambda series: [list(range(5, 200, 5))] * len(series)}
    )
    assert [(row.series, row.judge) for row in rows] == [
        ("step", "nibai"), ("step", "nothing"), ("step", "every fifth"),
    ]  # fmt: skip
    nibai, nothing, every = tcpd.means(rows)
    assert nibai.f1 == 1.0
    assert nibai.marked == 1.0
    assert nothing.f1 == pytest.approx(2 / 3)
    assert every.f1 < 0.2
    assert tcpd.run(tmp_path / "nowhere") == []
