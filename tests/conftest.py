"""Fixtures that every test may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Test processes share the cores already: threads of linear algebra would only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

TESTS = Path(__file__).parent
# Helpers shared by tests live in tests/support; importlib mode does not put them on the path.
sys.path.insert(0, str(TESTS))

settings.register_profile(
    "ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("dev", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=300)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


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
