"""The evaluation runs on any folder in its layout, and its page is what the command writes."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from support import tiny_data

from bench.evaluate import __main__ as command
from bench.evaluate import inject, peers, plots, rates
from bench.evaluate.document import QUICK, notes_of, structure

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "evaluation.md"
ONE = "nab/realAWSCloudwatch/one.csv"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_data.write(tmp_path_factory.mktemp("data"))


def run(data, out, *more):
    arguments = ["--data", str(data), "--out", str(out), "--jobs", "1", "--quick"]
    return command.main([*arguments, "--without-otava", *more])


@pytest.fixture(scope="module")
def page(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("docs") / "evaluation.md"
    assert run(folder, out) == 0
    return out


# Every question at once takes as long as a hundred other tests; one set of it: see below.
@pytest.mark.slow
def test_the_committed_page_has_the_structure_the_command_writes(page):
    committed = structure(PAGE.read_text(encoding="utf-8"))
    assert committed == structure(page.read_text(encoding="utf-8")), "run `make bench-evaluate`"


def test_the_committed_page_is_a_full_run_with_every_figure_and_no_machine_path():
    text = PAGE.read_text(encoding="utf-8")
    assert QUICK not in text
    assert "Otava did not take part" not in text
    assert not re.search(r"(?<![\w/)])/(work|tmp|home|root)/", text)
    shown = re.findall(r"!\[[^\]]*\]\(evaluation/([^)]+)\)", text)
    assert sorted(shown) == sorted(plots.NAMES)
    assert sorted(p.name for p in (ROOT / "docs" / "evaluation").iterdir()) == sorted(plots.NAMES)


@pytest.mark.slow
def test_a_quick_run_says_so_and_draws_every_figure(page):
    assert QUICK in page.read_text(encoding="utf-8")
    drawn = {path.name: path.stat().st_size for path in (page.parent / "evaluation").iterdir()}
    assert sorted(drawn) == sorted(plots.NAMES)
    assert all(size < 80_000 for size in drawn.values())


@pytest.mark.slow
def test_the_same_seed_gives_the_same_page_whatever_the_processes(folder, tmp_path):
    part, out = tmp_path / "data", tmp_path / "evaluation.md"
    shutil.copytree(folder / "azure-vm-noise" / "stress-ng", part / "azure-vm-noise" / "stress-ng")
    assert run(part, out) == 0
    noted = out.read_text(encoding="utf-8").replace("Nothing to add.", "A note\n\nin two parts.")
    out.write_text(noted, encoding="utf-8")
    assert run(part, out, "--jobs", "2") == 0
    assert out.read_text(encoding="utf-8") == noted
    assert notes_of(noted) == "A note\n\nin two parts."


def test_a_set_that_is_not_there_is_skipped_aloud(folder, tmp_path, capsys):
    part = tmp_path / "data"
    shutil.copytree(folder / "tcpd", part / "tcpd")
    out = tmp_path / "evaluation.md"
    assert run(part, out) == 0
    assert "skipped, not in the folder: nab" in capsys.readouterr().err
    text = out.read_text(encoding="utf-8")
    assert QUICK in text
    assert "Not in the folder, skipped: azure-vm-noise/redis" in text
    assert "| no data | – |" in text
    assert "(evaluation/power-redis.png)" not in text


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (("tcpd/annotations.json", "{"), "tcpd/annotations.json is no JSON"),
        (("nab/combined_windows.json", None), "nab/combined_windows.json is missing"),
        (("nab/combined_windows.json", "{}"), "has no entry 'realAWSCloudwatch/one.csv'"),
        ((ONE, "a,b\n1,2\n"), "one.csv has no column 'timestamp'"),
        ((ONE, "timestamp,value\nsoon,1\n"), "one: times are string, not timestamps"),
    ],
)
def test_malformed_data_are_named(folder, tmp_path, capsys, where, said):
    broken, (path, content) = tmp_path / "data", where
    shutil.copytree(folder, broken)
    if content is None:
        (broken / path).unlink()
    else:
        (broken / path).write_text(content, encoding="utf-8")
    assert run(broken, tmp_path / "evaluation.md") == 2
    assert said in capsys.readouterr().err


def test_no_folder_is_a_usage_error(tmp_path, capsys):
    assert run(tmp_path / "nowhere", tmp_path / "evaluation.md") == 2
    assert "give DATA=FOLDER" in capsys.readouterr().err
    assert run(tmp_path, tmp_path / "evaluation.md") == 2
    assert "holds none of" in capsys.readouterr().err


def test_peers_are_the_tests_of_scipy(scipy_stats):
    rng = np.random.default_rng(3)
    b, c = rng.normal(size=(20, 30)).round(1), rng.normal(0.5, 2, size=(20, 30)).round(1)
    welch = [scipy_stats.ttest_ind(x, y, equal_var=False).pvalue for x, y in zip(b, c, strict=True)]
    ranks = [
        scipy_stats.mannwhitneyu(x, y, alternative="two-sided", method="asymptotic").pvalue
        for x, y in zip(b, c, strict=True)
    ]
    np.testing.assert_allclose(peers.welch(b, c), welch, rtol=1e-9)
    np.testing.assert_allclose(peers.mann_whitney(b, c), ranks, rtol=1e-9)
    constant = np.ones((2, 30))
    assert peers.welch(constant, np.array([[1.0], [2.0]]) * constant).tolist() == [1.0, 0.0]


def test_the_band_of_kayenta_grows_with_the_estimate():
    rng = np.random.default_rng(4)
    b = rng.normal(100, 10, size=(40, 60))
    c = b + 3.4
    strict, tolerant = peers.mann_whitney(b, c), peers.kayenta(b, c)
    assert (tolerant >= strict).all()
    estimate = 3.4
    np.testing.assert_allclose(tolerant, peers.mann_whitney(b, c - 0.25 * estimate), rtol=0.5)


def test_series_weigh_the_same_and_silence_is_beside_the_rate():
    counts = [rates.Count(1, 1, 0, 0), rates.Count(0, 100, 0, 100)]
    found = rates.summary(counts)
    assert found.flagged.value == pytest.approx(0.25)
    assert found.found.value == pytest.approx(0.25)
    assert found.unstable.value == pytest.approx(0.25)
    silent = rates.summary([rates.Count(0, 0, 3, 7)])
    assert silent.flagged is None
    assert silent.found.value == 0.0


def test_a_matched_threshold_favours_the_peer():
    scores = rates.Scores()
    scores.add_series([0.01, 0.02, 0.02, 0.5])
    assert scores.threshold(0.3) == (0.02, 0.75)
    assert scores.threshold(0.0) == (0.01, 0.25)
    assert scores.threshold(1.0, 0.1) == (0.1, 0.75)


@pytest.mark.parametrize("effect", inject.EFFECTS, ids=lambda effect: effect.name)
def test_injected_changes_are_what_they_say(effect):
    rng = np.random.default_rng(8)
    x = rng.lognormal(3, 0.1, 20_000)
    y = effect.apply(x, rng)
    median = np.median(y) / np.median(x) - 1
    if effect.size is not None:
        np.testing.assert_allclose(y, x * (1 + effect.size))
    elif effect.name == "same_mean":
        assert median == pytest.approx(-0.45, abs=0.02)
        assert y.mean() / x.mean() == pytest.approx(1, abs=0.03)
    else:
        assert abs(median) < 0.02
        assert np.quantile(y, 0.99) > 1.15 * np.quantile(x, 0.99)
