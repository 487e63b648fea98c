"""Rule files: what they mean, and every problem of a bad one at once."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from alerts import book
from alerts.rules.reading import load_rules
from nibai import plugins
from nibai.errors import ConfigError, UsageError
from nibai.model import Change, ChangeKind

GOOD = Path(__file__).parents[1] / "support" / "rules" / "good.yaml"
HEAD = {"apiVersion": "nibai.dev/v1alpha1", "kind": "RuleSet"}


def written(folder, document):
    path = folder / "rules.yaml"
    text = document if isinstance(document, str) else yaml.safe_dump(document)
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder, document):
    path = written(folder, document)
    with pytest.raises(ConfigError) as error:
        load_rules(path)
    return [line.removeprefix(f"{path}: ") for line in str(error.value).splitlines()]


def rule(**more):
    return {**HEAD, "groups": [{"name": "g", "rules": [more]}]}


def test_the_example_of_the_manual_means_what_it_says():
    claims = load_rules(GOOD).claim_rules
    assert [one.name for one in claims] == [
        "twice-as-fast", "same-predictions-within-2pct", "declared",
    ]  # fmt: skip
    first, second, third = claims
    assert first.deadline == 86400.0
    assert first.where.change.kinds == (ChangeKind.PRECISION, ChangeKind.CONTAINER)
    assert (second.alert.refuted.severity, second.alert.inconclusive) == ("critical", None)
    assert third.sentence is None


def test_a_rule_that_does_not_say_what_is_told_tells_refuted_and_undecided(tmp_path):
    (found,) = load_rules(written(tmp_path, rule(claim="2x faster"))).claim_rules
    told = {key: one["severity"] for key, one in found.alert.model_dump(mode="json").items()}
    assert told == {"refuted": "critical", "inconclusive": "info", "no_data": "warning"}


def test_all_problems_of_a_file_are_said_at_once_with_their_keys(tmp_path):
    document = {
        "apiVersion": "nibai.dev/v1",
        "kind": "RuleSet",
        "groups": [
            {
                "name": "g",
                "rules": [
                    {"claim": "2x fester at p50"},
                    {"claim": "2x faster", "where": {"endpoit": "a/*"}, "deadline": "24"},
                    {"claim": "not slower", "alert": {"refuted": {"severity": "loud"}}},
                    {"claim": "3x faster", "message": {"title": "{{ endpoint"}, "level": 2},
                    {"alert": "X", "expr": "up", "for": "soon"},
                    {"expr": "up"},
                ],
            }
        ],
        "route": {"default": "oncall", "receivers": {"night": [{"pigeon": {}}]}},
    }
    assert problems(tmp_path, document) == [
        "apiVersion: input should be 'nibai.dev/v1alpha1' (got 'nibai.dev/v1')",
        (
            "groups[0].rules[0].claim: cannot read the claim at “fester”: expected “faster”, "
            "“cheaper” or “more throughput” after “2x” (got '2x fester at p50')"
        ),
        "groups[0].rules[1].where.endpoit: extra inputs are not permitted (got 'a/*')",
        "groups[0].rules[1].deadline: a duration is written like 90s, 15m, 2h or 30d (got '24')",
        (
            "groups[0].rules[2].alert.refuted.severity: input should be 'critical', 'warning' or "
            "'info' (got 'loud')"
        ),
        "groups[0].rules[3].level: input should be less than 1 (got 2)",
        (
            "groups[0].rules[3].message.title: is no template: unexpected end of template, "
            "expected 'end of print statement'. (line 1) (got '{{ endpoint')"
        ),
        (
            "groups[0].rules[4].for: a duration of Prometheus is written like 30s, 5m or 1h30m "
            "(got 'soon')"
        ),
        "groups[0].rules[5]: write either alert or record",
        (
            "route.receivers: night[0]: there is no notifier 'pigeon' (installed: "
            f"{', '.join(entry.name for entry in plugins.registered('nibai.notifiers'))})"
        ),
    ]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("- a", "holds list, not keys and values"),
        ("a: [", "is no YAML"),
        (
            rule(claim="2x faster", where={True: "a"}),
            "YAML reads on, yes and no as true and false (got True)",
        ),
        (rule(claim=7), "claim: input should be a valid string"),
        (rule(claim="2x faster", name="Has Spaces"), "name: string should match"),
        (rule(record="a:b", expr="up", annotations={"a": "b"}), "record: has no for"),
        ({**HEAD, "groups": [{"name": "g", "rules": []}] * 2}, "two are called 'g'"),
        (
            {**HEAD, "groups": [{"name": "g", "rules": [{"claim": "2x faster"}] * 2}]},
            "two claim rules are called '2x-faster-at-p50-p90-and-p99': give one another name",
        ),
        (
            rule(claim="2x faster", adjust=["mix"]),
            "adjust: load cannot be left out: the watch compares the same minutes of the day",
        ),
        (
            rule(claim="same predictions", adjust=["load"]),
            "adjust: only speed that the rule itself claims can be judged without mix",
        ),
        (rule(claim="declared", adjust=["load"]), "write “raw” into the declared claim"),
        (
            rule(claim="2x faster for model=a", segments=["model"]),
            "segments: the claim is about a segment already",
        ),
        (rule(claim="2x faster", segments=["model=a"]), "segments[0]: string should match pattern"),
        (
            {**HEAD, "route": {"default": "x", "receivers": {"y": []}}},
            "there is no receiver 'x' (there are: y)",
        ),
    ],
)
def test_one_defect_is_one_line(tmp_path, document, said):
    found = problems(tmp_path, document)
    assert len(found) == 1
    assert said in found[0]


def test_a_text_that_cannot_be_filled_is_found_beforehand(tmp_path):
    message = {"title": "{{ endpont }} lost", "todo": "{{ ''.__class__ }}"}
    path = written(tmp_path, rule(claim="2x faster", message=message))
    with pytest.raises(ConfigError) as caught:
        book.build({"path": path})
    first, second = str(caught.value).splitlines()
    assert first == (
        f"{path}: groups[0].rules[0].message.title: the template '{{{{ endpont }}}} lost' cannot "
        "be filled: 'endpont' is undefined"
    )
    assert "message.todo: the template" in second
    assert "unsafe" in second


def test_claims_of_a_change_are_those_of_the_rules_about_it():
    rules = book.build({"path": GOOD})
    chat = Change("c", "sagemaker/1.eu-west-1/chat-a", (ChangeKind.DRIVER,))

    def there(metric, name):
        return {("latency", "prompt_tokens"): ["0-512", "513-"]}.get((metric, name), [])

    assert [one.text for one in rules.claims(chat, there)] == ["same predictions within 2%"]
    assert rules.claims(Change("c", "onprem/tokyo/chat-a"), there) == []
    precise = Change("c", "sagemaker/1.eu-west-1/chat-a", (ChangeKind.PRECISION,))
    assert [one.text for one in rules.claims(precise, there)] == [
        "2x faster at p50, p90 and p99",
        "2x faster at p50, p90 and p99 for prompt_tokens=0-512",
        "2x faster at p50, p90 and p99 for prompt_tokens=513-",
        "same predictions within 2%",
    ]
    assert rules.receivers == ()


@pytest.mark.parametrize("keep", [True, False])
def test_the_export_for_prometheus(golden, keep):
    rules = book.build({"path": GOOD})
    text = rules.export("prometheus", {"keep_firing_for": keep})
    golden("rules_prometheus.yaml" if keep else "rules_prometheus_without_keep.yaml", text)


def test_the_export_for_grafana(golden):
    text = book.build({"path": GOOD}).export("grafana", {"datasource": "prom", "folder": "f"})
    golden("rules_grafana.json", text)
    for group in json.loads(text):
        assert group["interval"] % 10 == 0
        for one in group["rules"]:
            assert one["condition"] in {query["refId"] for query in one["data"]}
            assert (one["noDataState"], one["execErrState"]) == ("OK", "KeepLast")
            assert len(one["uid"]) <= 40


def test_another_export_is_refused():
    with pytest.raises(UsageError, match="no export 'nagios'"):
        book.build({"path": GOOD}).export("nagios", {})


HOSTILE = 'a"}or vector(1)#/*/{{ query "up" }}\\'


def promtool(*words, at):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, cwd=at, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "document",
    [
        yaml.safe_load(GOOD.read_text(encoding="utf-8")),
        rule(claim=f'2x faster at p50 for x="{HOSTILE.replace(chr(34), "")}"', name="h"),
        rule(claim="2x faster", where={"endpoint": HOSTILE}),
    ],
    ids=["good", "hostile segment", "hostile endpoint"],
)
def test_promtool_finds_nothing_wrong(tmp_path, document):
    text = book.build({"path": written(tmp_path, document)}).export("prometheus", {})
    (tmp_path / "exported.yaml").write_text(text, encoding="utf-8")
    assert "SUCCESS" in promtool("check", "rules", "exported.yaml", at=tmp_path)


def series(name, labels, values):
    inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return {"series": f"{name}{{{inside}}}", "values": values}


def test_exported_rules_fire_as_nibai_does(tmp_path):
    text = book.build({"path": GOOD}).export("prometheus", {})
    (tmp_path / "exported.yaml").write_text(text, encoding="utf-8")
    chat = {"endpoint": "sagemaker/1.eu/chat-a", "variant": "v", "change": "c1"}
    other = {**chat, "endpoint": "sagemaker/1.eu/embed", "change": "c2"}
    claim = {"claim": "2x-faster-at-p50-p90-and-p99"}
    given = [
        series("nibai_claim_verdict", {**chat, **claim}, "0x290 -1x12"),
        series("nibai_claim_verdict", {**other, **claim}, "-1x320"),
        series(LEVEL, {**chat, **claim}, "0x290 0.97x12"),
        series(LEVEL, {**other, **claim}, "0.95x320"),
        series("nibai_change_info", {**chat, "kind": "precision"}, "1x320"),
        series("nibai_change_info", {**other, "kind": "precision"}, "1x320"),
        series("nibai_change_effective_timestamp_seconds", chat, "0x320"),
        series("nibai_build_info", {"version": "1"}, "1x304"),
        # Read once an hour: 40 minutes are nothing there, and too much where it is every minute.
        series("nibai_collector_lag_seconds", {"collector": "hourly"}, "2400x320"),
        series("nibai_collector_lag_limit_seconds", {"collector": "hourly"}, "8100x320"),
        series("nibai_collector_lag_seconds", {"collector": "cloud"}, "60x10 2400x310"),
        series("nibai_collector_lag_limit_seconds", {"collector": "cloud"}, "1020x320"),
        series("nibai_collector_silence_seconds", {"collector": "main"}, "0x20 9000x300"),
        series("nibai_collector_silence_limit_seconds", {"collector": "main"}, "8000x320"),
        series("nibai_unannounced_changes", {"endpoint": "a/b/c", "moved": "worse"}, "_x20 1x300"),
    ]
    # The claim's name says which segment it is about, the rule's is beside it.
    expected = {**chat, **claim, "rule": "twice-as-fast", "severity": "critical"}
    rest = {**other, **claim, "severity": "warning"}
    same = {"alertname": "NibaiClaimUndecided"}
    cases = [
        {"eval_time": "23h", **same, "exp_alerts": []},
        {
            "eval_time": "1445m",
            **same,
            "exp_alerts": [
                {
                    "exp_labels": {**expected, "severity": "info"},
                    "exp_annotations": {
                        "title": f"{NAMED} is still undecided on sagemaker/1.eu/chat-a",
                        "todo": "Nothing is wrong yet: wait for more traffic, or claim less.",
                        "change": "c1",
                    },
                }
            ],
        },
        {
            "eval_time": "1460m",
            "alertname": "NibaiClaimRefuted",
            "exp_alerts": [
                {"exp_labels": labels, "exp_annotations": refuted(title, labels["change"])}
                for labels, title in (
                    (expected, NAMED),
                    (rest, DECLARED),
                )
            ],
        },
        {"eval_time": "45m", "alertname": "NibaiCollectorQuiet", "exp_alerts": []},
        {
            "eval_time": "2h",
            "alertname": "NibaiCollectorQuiet",
            "exp_alerts": [quiet_one("cloud"), quiet_one("main")],
        },
        {"eval_time": "95m", "alertname": "NibaiUnannouncedChange", "exp_alerts": []},
        {
            "eval_time": "2h",
            "alertname": "NibaiUnannouncedChange",
            "exp_alerts": [
                {
                    "exp_labels": {"endpoint": "a/b/c", "moved": "worse", "severity": "warning"},
                    "exp_annotations": {
                        "title": "a/b/c became worse, and no claim is about it",
                        "todo": "Find out what changed; declare it with its claim, and the watch "
                        "decides.",
                    },
                }
            ],
        },
        {"eval_time": "1540m", "alertname": "NibaiDown", "exp_alerts": [DOWN]},
    ]
    tests = {
        "rule_files": ["exported.yaml"],
        "evaluation_interval": "5m",
        "tests": [{"interval": "5m", "input_series": given, "alert_rule_test": cases}],
    }
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(tests), encoding="utf-8")
    promtool("test", "rules", "tests.yaml", at=tmp_path)


LEVEL = "nibai_claim_refuted_level_ratio"


def test_an_exported_rule_waits_for_its_level_as_nibai_does(tmp_path):
    strict = rule(
        claim="2x faster at p50", name="sure", level=0.999, alert={"refuted": {"severity": "info"},
        "inconclusive": {"severity": "info"}},
    )  # fmt: skip
    text = book.build({"path": written(tmp_path, strict)}).export("prometheus", {})
    (tmp_path / "exported.yaml").write_text(text, encoding="utf-8")
    change = {"endpoint": "a/b/c", "variant": "v", "change": "c1", "claim": "2x-faster-at-p50"}
    of_change = {name: change[name] for name in ("endpoint", "variant", "change")}
    given = [
        # Refuted at 0.95 after an hour, at the rule's level after 30.
        series("nibai_claim_verdict", change, "0x12 -1x500"),
        series(LEVEL, change, "0x12 0.96x347 0.9991x200"),
        series("nibai_change_effective_timestamp_seconds", of_change, "0x520"),
        series("nibai_build_info", {"version": "1"}, "1x520"),
    ]
    labels = {**change, "claim": "sure", "severity": "info"}

    def fires(name, at, *found):
        return {"eval_time": at, "alertname": name, "exp_alerts": list(found)}

    said = {
        "title": "“2x faster at p50” is {} a/b/c",
        "change": "c1",
    }
    undecided = {**said, "title": said["title"].format("still undecided on"),
                 "todo": "Nothing is wrong yet: wait for more traffic, or claim less."}  # fmt: skip
    over = {**said, "title": said["title"].format("refuted on"),
            "todo": "Read the audit; keep, roll back or correct the claim."}  # fmt: skip
    cases = [
        fires("NibaiClaimRefuted", "2h"),
        fires("NibaiClaimRefuted", "29h"),
        fires("NibaiClaimUndecided", "29h", {"exp_labels": labels, "exp_annotations": undecided}),
        fires("NibaiClaimRefuted", "31h", {"exp_labels": labels, "exp_annotations": over}),
        fires("NibaiClaimUndecided", "35h"),
    ]
    tests = {
        "rule_files": ["exported.yaml"],
        "evaluation_interval": "5m",
        "tests": [{"interval": "5m", "input_series": given, "alert_rule_test": cases}],
    }
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(tests), encoding="utf-8")
    promtool("test", "rules", "tests.yaml", at=tmp_path)


def quiet_one(name):
    said = {
        "title": f"collector {name} has gone quiet",
        "todo": "Check the collector's log and permissions: nothing can be decided without it.",
    }
    return {"exp_labels": {"collector": name, "severity": "warning"}, "exp_annotations": said}


NAMED = "“2x faster at p50, p90 and p99” (2x-faster-at-p50-p90-and-p99)"
DECLARED = "the claim 2x-faster-at-p50-p90-and-p99"


def refuted(title, change):
    where = "sagemaker/1.eu/chat-a" if change == "c1" else "sagemaker/1.eu/embed"
    todo = "Read the audit; keep, roll back or correct the claim."
    return {"title": f"{title} is refuted on {where}", "todo": todo, "change": change}


DOWN = {
    "exp_labels": {"severity": "critical"},
    "exp_annotations": {
        "title": "nibai is down or not scraped",
        "todo": "Until it is back, silence about claims means nothing: check its log.",
    },
}


def test_the_manual_shows_a_valid_rule_file_and_valid_examples(tmp_path):
    manual = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
    _, file, tests = re.findall(r"```yaml\n(.*?)```", manual, re.DOTALL)
    assert next(one.name for one in load_rules(written(tmp_path, file)).claim_rules) == (
        "twice-as-fast"
    )
    (tmp_path / "tests.yaml").write_text(tests, encoding="utf-8")
    assert book.run_examples(tmp_path / "tests.yaml") == (1, [])
    for entry in plugins.registered("nibai.notifiers"):
        assert f"| `{entry.name}` |" in manual


def test_a_receiver_keeps_its_name_when_another_line_comes_before_it(tmp_path):
    def names(*ways):
        route = {"default": "a", "receivers": {"a": list(ways), "b": []}}
        path = written(tmp_path, {**HEAD, "route": route})
        return [one.name for one in book.build({"path": path}).receivers]

    hook, other = {"webhook": {"url": "env:A"}}, {"slack": {"channel": "C1"}}
    assert names(hook) == ["a.webhook"]
    assert names(other, hook, hook) == ["a.slack", "a.webhook", "a.webhook-2"]
