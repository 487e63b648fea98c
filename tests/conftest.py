"""Fixtures that every test may use."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

# What collecting makes stays: looking through it again and again takes a second of every worker.
gc.disable()

# Test processes share the cores already: threads of linear algebra would only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

TESTS = Path(__file__).parent
# Helpers shared by tests live in tests/support; importlib mode does not put them on the path.
sys.path.insert(0, str(TESTS))

from support.fresh_state import copy_new_states  # noqa: E402 - see above

ORDINARY = 40
"""Examples of a property in `make test`; `make test-slow` tries 300 of every one."""

settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=ORDINARY,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.register_profile("dev", deadline=None, max_examples=ORDINARY)
settings.register_profile("thorough", deadline=None, max_examples=300)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_configure(config):
    """In the ordinary run Hypothesis need not parse all of nibai for constants to try: 3 s."""
    if config.getoption("--hypothesis-profile") != "thorough":
        providers._get_local_constants = lambda: providers._local_constants


def pytest_collection_finish():
    """Tests leave few cycles: looking for them every 700 objects takes 8 CPU seconds of the run."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    gc.enable()
    # Not before: pytest ends with five collections, which then need not look through all modules.
    atexit.register(gc.unfreeze)


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare a text with the expected one; `make golden` renews the expectation."""

    def check(name: str, text: str) -> None:
        path = TESTS / "golden" / "files" / name
        if os.environ.get("NIBAI_UPDATE_GOLDEN"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        if not path.exists():
            pytest.fail(f"no expected text {path.name}: run `make golden`, then read it")
        assert text == path.read_text(encoding="utf-8"), f"{name} differs: `make golden`, read diff"

    return check


@pytest.fixture(scope="session")
def template_state(tmp_path_factory):
    """A state file as `open_state` makes it."""
    path = tmp_path_factory.mktemp("template") / "state.sqlite"
    sys.modules["nibai.store.state.database"].open_state(path).close()
    return path


@pytest.fixture(scope="module", autouse=True)
def new_states(request):
    """New states are copies of one, but where states themselves are tested."""
    states = sys.modules.get("nibai.store.state.database")  # tests of statistics never load it
    if states is None or request.path.name == "test_state.py":
        yield
        return
    template = request.getfixturevalue("template_state")
    with pytest.MonkeyPatch.context() as monkeypatch:
        copy_new_states(states, monkeypatch, template)
        yield


@pytest.fixture(scope="session")
def scipy_stats():
    """Loading it takes two seconds, which only the worker pays whose tests compare with it."""
    return importlib.import_module("scipy.stats")


@pytest.fixture
def undrawn(monkeypatch):
    """Pages with empty charts, for tests of what else they say; `test_report` draws them."""
    monkeypatch.setattr("dashboards.report.svg", lambda _spec, _width: "<svg ></svg>")


@pytest.fixture(scope="session")
def evaluation_data() -> Path:
    """The folder of real evaluation data named by NIBAI_DATA; skipped without it."""
    folder = os.environ.get("NIBAI_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set NIBAI_DATA to the folder of evaluation data to run this")
    return Path(folder)
