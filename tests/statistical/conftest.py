"""Measured rates are the product of these tests: they are shown whether or not a test fails."""

from collections.abc import Callable

import pytest

FIGURES: list[str] = []


@pytest.fixture
def figure() -> Callable[[str], None]:
    """Add one line to the table of measured figures at the end of the run."""
    return FIGURES.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES:
        terminalreporter.section("measured figures (p50/p90/p99)")
        for line in FIGURES:
            terminalreporter.write_line(line)
