"""Runs inside Otava's own environment: requests in a JSON file, answers in another.

A request is {"values": [...], "chains": [[[max_pvalue, min_magnitude], ...], ...]}. A chain goes
from lenient to strict and ends at the first setting without a change point; the answer to it is
the positions of the change points by setting. Imports nothing of nibai.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path


def main() -> None:
    """Answer the file argv[1] into argv[2]."""
    logging.disable(logging.CRITICAL)
    requests = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    answers = [[chain(r["values"], c) for c in r["chains"]] for r in requests]
    Path(sys.argv[2]).write_text(json.dumps(answers), encoding="utf-8")


def chain(values: list[float], settings: list[list[float]]) -> list[list[int]]:
    """Positions of the change points, setting by setting, until there are none."""
    from otava.series import AnalysisOptions, Metric, Series  # noqa: PLC0415 - not here but there

    series = Series(
        "window", None, list(range(len(values))), {"value": Metric()}, {"value": values}, {}
    )
    found: list[list[int]] = []
    for max_pvalue, min_magnitude in settings:
        options = AnalysisOptions()
        options.max_pvalue, options.min_magnitude = max_pvalue, min_magnitude
        found.append([int(c.index) for c in series.analyze(options).change_points["value"]])
        if not found[-1]:
            break
    return found


if __name__ == "__main__":
    main()
