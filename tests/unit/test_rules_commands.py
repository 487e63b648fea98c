"""`nibai rules`: what it prints and how it ends."""

import json
from pathlib import Path

import pytest
import yaml
from support import replay_server
from support.replay_server import Reply
from support.standings import HOUR, START, change, seen, standing

from alerts.book import build
from nibai.cli import invoke
from nibai.model import Silence, Verdict
from nibai.store.state import alerts as table
from nibai.store.state.database import open_state

FOLDER = Path(__file__).parents[1] / "support" / "rules"
GOOD = str(FOLDER / "good.yaml")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys):
    def once(*words):
        code = invoke(["rules", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return once


def routed(url, **more):
    rules = yaml.safe_load(Path(GOOD).read_text(encoding="utf-8"))
    rules["route"] = {
        "default": "oncall",
        "receivers": {"oncall": [{"webhook": {"url": url}}], "quiet": []},
        **more,
    }
    Path("rules.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    return "rules.yaml"


def test_a_good_file_is_summed_up(run):
    path = routed("https://hooks.example/x")
    assert run("check", "--rules", path) == (
        0,
        "rules.yaml: 3 rules about claims, 2 rules of Prometheus\nreceiver oncall.webhook\n",
        "",
    )


def test_a_bad_file_is_exit_2_with_every_problem(run):
    path = routed("hooks.example/x", default="nobody")
    code, out, err = run("check", "--rules", path)
    assert (code, out) == (2, "")
    assert err == (
        "nibai: rules.yaml: route: there is no receiver 'nobody' (there are: oncall, quiet)\n"
        "rules.yaml: route.receivers.oncall[0].webhook.url: an address begins with https://, "
        "http://, env: or file:\n"
    )


def test_the_rule_file_is_named_by_the_configuration(run):
    code, _, err = run("check")
    assert code == 2
    assert err == (
        "nibai: which rule file? give --rules FILE, or write rules: FILE in nibai.yaml\n"
    )
    Path("nibai.yaml").write_text(f"rules: {routed('https://hooks.example/x')}", encoding="utf-8")
    assert run("check")[0] == 0


def test_examples_pass_or_say_what_fired_instead(run):
    assert run("test", str(FOLDER / "tests.yaml")) == (0, "4 examples passed\n", "")
    wrong = yaml.safe_load((FOLDER / "tests.yaml").read_text(encoding="utf-8"))
    wrong["rules"] = GOOD
    wrong["tests"] = wrong["tests"][2:]
    wrong["tests"][0]["rounds"][0]["expect"] = [{"collector": "otlp"}]
    Path("wrong.yaml").write_text(yaml.safe_dump(wrong), encoding="utf-8")
    code, _, err = run("test", "wrong.yaml")
    assert code == 2
    assert err == (
        "nibai: wrong.yaml: a collector that went quiet, 1 h: expected {collector: otlp}, fires "
        "{alertname: NibaiCollectorQuiet, collector: cloudwatch, severity: warning}\n"
    )
    wrong["tests"][0]["rounds"][0]["at"] = "soon"
    Path("wrong.yaml").write_text(yaml.safe_dump(wrong), encoding="utf-8")
    assert (
        "wrong.yaml: tests[0].rounds[0].at: a duration is written like"
        in run("test", "wrong.yaml")[2]
    )


def test_exports_are_those_of_the_rules(run):
    code, out, _ = run("export", "--rules", GOOD)
    assert (code, out) == (0, build({"path": GOOD}).export("prometheus", {}))
    assert "keep_firing_for" not in run("export", "--no-keep-firing-for", "--rules", GOOD)[1]
    code, out, _ = run("export", "--format", "grafana", "--folder", "team", "--rules", GOOD)
    assert {group["folderUid"] for group in json.loads(out)} == {"team"}


@pytest.mark.parametrize("notifier", ["slack", "alertmanager", "webhook", "pagerduty", "sns"])
def test_messages_are_shown_as_they_would_be_sent(run, notifier):
    code, out, _ = run("render", "--as", notifier, "--rules", GOOD)
    assert code == 0
    assert (
        "TEST: “2x faster at p50, p90 and p99” is refuted"
        in json.dumps(json.loads(out), ensure_ascii=False)
        or notifier == "sns"
    )


def test_a_rule_that_is_not_there_is_named_with_those_that_are(run):
    code, _, err = run("render", "--rule", "thrice", "--rules", GOOD)
    assert code == 2
    assert err == (
        "nibai: no rule thrice that tells of a refuted claim (there are: twice-as-fast, "
        "same-predictions-within-2pct, declared)\n"
    )


def test_a_dry_run_sends_nothing_and_a_fire_sends_an_alert_and_its_end(run):
    bodies = []

    def note(request):
        bodies.append(request.body)
        return Reply(body={})

    with replay_server.serve(note) as service:
        path = routed(service.url)
        code, out, _ = run("fire", "--dry-run", "--rules", path)
        assert (code, bodies) == (0, [])
        assert out.startswith('oncall.webhook: would be told\n{\n  "version": "4",')
        assert run("fire", "--rules", path) == (
            0, "oncall.webhook: a test alert and its end were told\n", "",
        )  # fmt: skip
        assert [body["status"] for body in bodies] == ["firing", "resolved"]
        assert {body["commonLabels"]["test"] for body in bodies} == {"true"}
        service.behave = lambda _request: Reply(403, {})
        code, out, err = run("fire", "--rules", path)
    assert code == 7
    assert "127.0.0.1 refuses the message (403" in out
    assert err == "nibai: not told: oncall.webhook\n"


def test_silences_begin_are_listed_and_end(run):
    code, out, _ = run("silence", "--endpoint", "a/*", "--for", "1h", "--comment", "move")
    assert code == 0
    name = out.strip()
    code, out, _ = run("alerts")
    assert out.splitlines()[0] == "no alerts"
    assert out.splitlines()[1].startswith(f"silence {name}  until ")
    assert out.splitlines()[1].endswith("endpoint=a/*  move")
    assert run("unsilence", name)[0] == 0
    assert run("alerts")[1] == "no alerts\n"
    assert run("unsilence", name) == (
        2, "", f"nibai: no silence '{name}' goes on: nibai rules alerts lists them\n",
    )  # fmt: skip
    assert run("silence")[2] == (
        "nibai: a silence needs at least one of --endpoint, --change, --claim …\n"
    )
    assert run("silence", "--endpoint", "*", "--for", "long")[0] == 2


def test_alerts_are_listed_with_what_was_not_told(run):
    book = build({"path": GOOD})
    state = open_state("nibai-data/state.sqlite")
    one = standing(change(), "2x faster at p50, p90 and p99", Verdict.REFUTED)
    round_ = seen(START + HOUR, one)
    table.step_alerts(state, lambda known: (book.advance(known, round_), ()))
    table.put_delivery(
        state,
        table.Delivery("change:c1", "oncall.slack", problem="slack: not_in_channel: invite it"),
    )
    table.put_silence(state, Silence("s1", {"change": "c1"}, START, START + 1e9, "known"))
    state.close()
    assert run("alerts")[1] == (
        "firing (silenced)  critical  2025-11-25T01:00:00Z  “2x faster at p50, p90 and p99” is "
        "refuted on sagemaker/123456789012.eu-west-1/chat-1\n"
        "not told  oncall.slack  change:c1: slack: not_in_channel: invite it\n"
        "silence s1  until 2057-08-03T01:46:40Z  change=c1  known\n"
    )


def test_a_declared_rollback_is_evidence(run, capsys):
    words = ["--endpoint", "a/b/c", "--at", "2026-03-28T18:00Z", "--rollback-of", "c1"]
    assert invoke(["changes", "declare", *words]) == 0
    capsys.readouterr()
    state = open_state("nibai-data/state.sqlite")
    assert table.rolled_back(state) == {"c1"}
    state.close()
    assert run("alerts")[1] == "no alerts\n"
