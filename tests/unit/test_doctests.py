"""The examples in docstrings say what the code does."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ["nibai", "collector", "analyzers", "alerts", "dashboards", "demo"]


def modules():
    """Those with an example, found without importing: a process imports what its tests need."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if ">>>" in path.read_text(encoding="utf-8"):
                parts = path.relative_to(ROOT).with_suffix("").parts
                found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


@pytest.mark.parametrize("name", modules())
def test_examples(name):
    module = importlib.import_module(name)
    finder, told = doctest.DocTestFinder(exclude_empty=True), []
    runner = doctest.DocTestRunner(verbose=False)
    for example in finder.find(module, name):
        runner.run(example, out=told.append)
    assert not runner.failures, "".join(told)
    assert runner.tries, "no example was found in the module"
