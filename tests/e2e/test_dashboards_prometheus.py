"""Every expression of every dashboard, asked of a real Prometheus, returns something."""

import json

import pytest
from support import exposition
from support.prometheus import started

from dashboards.grafana import build
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


def test_every_expression_has_an_answer_from_scraped_text(tmp_path):
    with (
        exposition.served() as target,
        started(tmp_path, target, native=False) as prometheus,
    ):
        prometheus.wait_for(SETTLED)
        assert unanswered(prometheus) == []
    assert len(asked()) > 100
