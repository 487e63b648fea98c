"""Outputs that are no numbers: from neuron-monitor's reports to a verdict and to an alert."""

import json
import os

import numpy as np
import pytest
import yaml
from support.onwatch import CUT, DAYS, MONDAY, declared, on_watch

from nibai import cli
from nibai.app.onwatch.jobs import configured_jobs
from nibai.model import AlertState, Verdict
from nibai.store.state.alerts import alerts as stored_alerts

ENDPOINT = "onprem/tokyo/ocr"
CLAIM = "finite_output errors up at most 0.1pp"
STEP, PER_STEP = 300.0, 600
HOUR = 3600.0

RULES = f"""
apiVersion: nibai.dev/v1alpha1
kind: RuleSet
groups:
- name: health
  rules:
  - claim: "{CLAIM}"
    name: numbers
    alert: {{refuted: {{severity: critical}}}}
"""


def reports(share_after):
    """Two executions a second; of those after the change a share gives no number."""
    rng = np.random.default_rng(3)
    for at in np.arange(MONDAY, MONDAY + DAYS * 86_400, STEP):
        lost = int(rng.binomial(PER_STEP, share_after if at >= CUT else 0.0002))
        stats = {
            "period": STEP,
            "execution_summary": {"completed": PER_STEP - lost, "completed_with_num_err": lost},
            "latency_stats": {},
        }
        runtime = {"neuron_runtime_tag": "app", "report": {"execution_stats": stats}}
        yield json.dumps({"neuron_runtime_data": [runtime], "timestamp": at + STEP}) + "\n"


@pytest.fixture
def collected(tmp_path, monkeypatch, capsys):
    def collect(share_after):
        path, config = tmp_path / "monitor.jsonl", tmp_path / "nibai.yaml"
        path.write_text("".join(reports(share_after)), encoding="utf-8")
        end = MONDAY + DAYS * 86_400
        os.utime(path, (end, end))
        monkeypatch.setattr("time.time", lambda: end + 600)
        section = {"endpoint": ENDPOINT, "path": str(path)}
        document = {"data": str(tmp_path), "neuron": [section]}
        config.write_text(yaml.safe_dump(document), encoding="utf-8")

        def nibai(*arguments):
            cli.invoke([*arguments, "--config", str(config)])
            return capsys.readouterr().out

        nibai("collect", "--once")
        return nibai

    return collect


@pytest.mark.slow
@pytest.mark.parametrize(("share", "verdict"), [(0.01, "refuted"), (0.0002, "confirmed")])
def test_a_claim_about_numbers_is_judged(collected, share, verdict):
    nibai = collected(share)
    made = nibai(
        "changes", "declare", "--endpoint", ENDPOINT, "--kind", "fp8",
        "--at", str(CUT), "--claim", CLAIM,
    )  # fmt: skip
    document = json.loads(nibai("audit", made.strip(), "--format", "json"))
    [claim] = document["claims"]
    assert claim["verdict"] == verdict, claim["reason"]
    assert claim["metric"] == "finite_output"


def test_numbers_that_get_lost_are_an_alert(collected, tmp_path):
    collected(0.2)
    (tmp_path / "rules.yaml").write_text(RULES)
    watch = on_watch(tmp_path, tmp_path, CUT + 600, rules=str(tmp_path / "rules.yaml"))
    declared(watch.desk, endpoint=ENDPOINT)
    follow = next(one for one in configured_jobs(watch.office) if one.name == "follow")
    for hours in range(1, 9):
        watch.clock.now = CUT + hours * HOUR
        watch.folded(watch.clock.now)
        watch.office.turns.take(follow)
    (standing,) = watch.rounds[-1].standings
    assert (standing.sentence.text, standing.verdict) == (CLAIM, Verdict.REFUTED)
    (alert,) = stored_alerts(watch.desk.state)
    assert alert.state is AlertState.FIRING
    assert alert.labels["endpoint"] == ENDPOINT
    watch.desk.state.close()
