"""Every expression of every dashboard, asked of a real Prometheus, returns something."""

import json

import numpy as np
import pytest
from support import exposition
from support.scraping import started

from dashboards.grafana import build, promql
from dashboards.grafana.lint import Board

pytestmark = pytest.mark.e2e

CHOSEN = {
    "__rate_interval": "10s",
    "endpoint": exposition.ENDPOINT,
    "change": exposition.CHANGE,
    "metric": "latency",
    "quantile": "0.99",
    "feature": "length",
}
SETTLED = "count_over_time(nibai_build_info[1m]) >= 5"
"""A rate needs a few scrapes."""

BOARDS = [Board(name, json.loads(text)) for name, text in build.committed().items()]


def asked():
    return [
        text
        for board in BOARDS
        for one in board.expressions()
        for text in board.filled(one.text, CHOSEN)
    ]


def unanswered(prometheus):
    """Expressions without a series, or with not-a-numbers alone."""
    found = []
    for board in BOARDS:
        for expression in board.expressions():
            for text in board.filled(expression.text, CHOSEN):
                values = [one for one in prometheus.query(text) if _is_number(one)]
                if not values:
                    found.append(f"{board.file}: {expression.where}: {text}")
    return found


def _is_number(series):
    # A native histogram has no single value.
    return "histogram" in series or series["value"][1] != "NaN"


@pytest.mark.parametrize("native", [False, True], ids=["text", "protobuf"])
def test_every_expression_has_an_answer(native, tmp_path):
    with (
        exposition.served() as target,
        started(tmp_path, target, native=native) as prometheus,
    ):
        prometheus.wait_for(SETTLED)
        (histogram,) = prometheus.query('sum(nibai_latency_seconds{job="nibai"})') or [{}]
        assert ("histogram" in histogram) == native
        assert unanswered(prometheus) == []
        wrong = _wrong_quantiles(prometheus, 2 ** (1 / 32) if native else 2 ** (1 / 4))
    assert wrong == []
    assert len(asked()) > 100


def _wrong_quantiles(prometheus, factor):
    """Quantiles that differ from the sample's by more than a bucket."""
    found = []
    for quantile in (0.5, 0.9, 0.99):
        text = promql.time_quantile(quantile, "endpoint", "")
        board = BOARDS[0]
        (asked_for,) = board.filled(text, CHOSEN)
        (series,) = prometheus.query(asked_for)
        said, true = float(series["value"][1]), np.quantile(exposition.SAMPLE, quantile)
        if not 1 / factor <= said / true <= factor:
            found.append((quantile, said, float(true)))
    return found
