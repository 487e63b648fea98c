"""The bench of CloudWatch's audit on little data: what averaged percentiles do to a tail."""

import pytest

from bench import cloudwatch_audit


def test_averaged_percentiles_miss_the_tail_and_cost_more(monkeypatch):
    """statistics.md, section 13: incidents at 10 a minute, p99 off by 39 %."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    rows, bills = cloudwatch_audit.audited("incid", rate=10.0, hours=6, detail="TC 55", seed=3)
    tail = rows[-1]
    assert tail.p == 0.99
    assert -0.6 < tail.naive_off < -0.2
    assert all(row.covered for row in rows)
    assert rows[0].estimate[0] == pytest.approx(rows[0].ratio, rel=0.02)
    assert bills.metered <= bills.planned < bills.exporter
    assert bills.exporter == pytest.approx(0.438)
