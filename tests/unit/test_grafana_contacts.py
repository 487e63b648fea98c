"""Contact points and policies on a Grafana: from the rule file, again and again, secrets unsaid."""

import json

import pytest
import yaml
from support.grafana_server import TOKEN, FakeGrafana, served

from alerts.exports.grafana_contacts import export
from alerts.rules.ruleset import RuleSet
from dashboards.grafana.client import LegacyGrafana
from dashboards.grafana.contacts import push_contacts, read_contacts, with_branch
from dashboards.grafana.port import GrafanaError
from dashboards.grafana.transport import Transport
from nibai import cli
from nibai.errors import ConfigError, NotifyError, UsageError

SECRETS = {
    "SLACK_BOT_TOKEN": "xoxb-SECRET-1",
    "PD_KEY": "pd-SECRET-2",
    "HOOK": "https://h/SECRET-3",
}
ROUTE = {
    "default": "oncall",
    "branches": [
        {"match": {"severity": ["info"], "endpoint": "sagemaker/*/chat-*"}, "receiver": "quiet"},
        {"match": {"claim": "same-*"}, "receiver": "quiet"},
    ],
    "receivers": {
        "oncall": [
            {"slack": {"channel": "C0123"}},
            {"pagerduty": {"routing_key": "env:PD_KEY"}},
            {"apprise": {"urls": ["env:HOOK"]}},
        ],
        "quiet": [
            {"webhook": {"url": "env:HOOK", "token": "env:PD_KEY"}},
            {"email": {"host": "mail", "sender": "n@example.com", "to": ["a@b.c", "d@e.f"]}},
            {"sns": {"topic": "arn:aws:sns:eu-west-1:123456789012:alerts"}},
            {"alertmanager": {"urls": ["https://am-1", "https://am-2"], "username": "u",
                              "password": "env:PD_KEY"}},
        ],
    },
}  # fmt: skip


def rules(route=ROUTE):
    head = {"apiVersion": "nibai.dev/v1alpha1", "kind": "RuleSet"}
    return RuleSet.model_validate({**head, "route": route} if route else head)


def resolve(reference):
    return SECRETS[reference.removeprefix("env:")]


@pytest.fixture
def fake():
    with served(FakeGrafana()) as grafana:
        yield grafana


@pytest.fixture
def grafana(fake):
    transport = Transport(fake.url, TOKEN, backoff_seconds=0.0)
    for secret in SECRETS.values():
        transport.conceal(secret)
    yield LegacyGrafana(transport)
    transport.close()


def contacts(route=ROUTE):
    return read_contacts(export(rules(route)), resolve)


def test_the_file_holds_references_and_says_what_grafana_cannot_do(golden):
    text = export(rules())
    assert not any(secret in text for secret in SECRETS.values())
    golden("grafana_contacts.json", text)


def test_a_push_again_changes_nothing_and_a_round_trip_finds_everything(fake, grafana):
    fake.policies["routes"] = [
        {"receiver": "grafana-default-email", "object_matchers": [["team", "=", "web"]],
         "group_wait": "10s"},
    ]  # fmt: skip
    theirs = json.loads(json.dumps(fake.policies))
    first = push_contacts(grafana, contacts(), verify=True)
    assert first == [
        "note: oncall.apprise stays with nibai: Grafana has no apprise",
        "pushed the contact point nibai oncall (slack)",
        "pushed the contact point nibai oncall (pagerduty)",
        "pushed the contact point nibai quiet (webhook)",
        "pushed the contact point nibai quiet (email)",
        "pushed the contact point nibai quiet (sns)",
        "pushed the contact point nibai quiet (prometheus-alertmanager)",
        "notification policies: our branch is written, the others are as they were",
        "read back: 6 contact points and their policy are there",
    ]
    held = json.loads(json.dumps([fake.contact_points, fake.policies]))
    writes = len(fake.asked("PUT")) + len(fake.asked("POST"))
    again = push_contacts(grafana, contacts(), verify=True)
    assert again[1] == "updated the contact point nibai oncall (slack)"
    assert again[-2] == "notification policies: as they were"
    assert [fake.contact_points, fake.policies] == held
    assert len(fake.asked("PUT")) + len(fake.asked("POST")) == writes + 6
    # Ours comes first and nothing of the others changed.
    assert fake.policies["routes"][0]["receiver"] == "nibai oncall"
    assert {**fake.policies, "routes": fake.policies["routes"][1:]} == theirs
    assert {point["provenance"] for point in fake.contact_points} == {""}, "editable in the browser"
    slack, pager = fake.contact_points[:2]
    assert slack["settings"] == {"recipient": "C0123", "token": "xoxb-SECRET-1"}
    assert pager["settings"]["integrationKey"] == "pd-SECRET-2"


@pytest.mark.parametrize("version", ["10.4.0", "13.0.0"])
def test_every_version_takes_them_and_none_twice(version):
    with served(FakeGrafana(version)) as fake:
        transport = Transport(fake.url, TOKEN, backoff_seconds=0.0)
        only = {**ROUTE, "branches": [], "receivers": {"oncall": ROUTE["receivers"]["oncall"]}}
        for _ in range(2):
            push_contacts(LegacyGrafana(transport), contacts(only), verify=True)
        transport.close()
    assert len({point["uid"] for point in fake.contact_points}) == len(fake.contact_points) == 2


def test_what_differs_afterwards_is_named_and_no_secret_is(fake, grafana):
    push_contacts(grafana, contacts(), verify=False)
    grafana.put_contact_point = lambda *_, **__: None
    grafana.put_policies = lambda *_: None
    fake.contact_points[0]["settings"]["recipient"] = "C9999"
    fake.contact_points[1]["settings"]["integrationKey"] = ""
    del fake.contact_points[1]["settings"]["integrationKey"]
    fake.contact_points[3]["type"] = "webhook"
    del fake.contact_points[4]
    fake.policies["routes"][0]["routes"] = []
    with pytest.raises(NotifyError) as caught:
        push_contacts(grafana, contacts(), verify=True)
    assert str(caught.value).splitlines() == [
        "Grafana does not hold what was pushed",
        "the setting recipient of 'nibai oncall' (slack) differs",
        "the setting integrationKey of 'nibai oncall' (pagerduty) differs",
        "the contact point 'nibai quiet' is 'nibai quiet' (webhook)",
        "the contact point 'nibai quiet' (sns) is not there",
        "our notification policy differs",
    ]


def test_a_branch_is_replaced_where_it_was_and_doubles_go():
    branch = {"receiver": "new", "object_matchers": [["nibai", "=", "true"]], "routes": []}
    other = {"receiver": "x", "object_matchers": [["nibai", "=", "false"]]}
    old = {"receiver": "old", "object_matchers": [["nibai", "=", "true"]], "group_wait": "1s"}
    tree = {"receiver": "r", "routes": [other, old, other, old]}
    assert with_branch(tree, branch) == {"receiver": "r", "routes": [other, branch, other]}
    bare = {"receiver": "new", "object_matchers": [["nibai", "=", "true"]], "provenance": ""}
    assert with_branch({"receiver": "r", "routes": [bare]}, branch)["routes"] == [bare]
    assert with_branch({"receiver": "r"}, branch)["routes"] == [branch]


def test_a_branch_that_somebody_made_for_some_of_our_alerts_stays():
    mark = ["nibai", "=", "true"]
    branch = {"receiver": "new", "object_matchers": [mark], "routes": []}
    theirs = {"receiver": "boss", "object_matchers": [mark, ["severity", "=", "critical"]]}
    for routes in ([theirs, branch], [branch, theirs]):
        tree = {"receiver": "r", "routes": routes}
        assert with_branch(tree, branch) == tree
    old = {**branch, "receiver": "old"}
    found = with_branch({"receiver": "r", "routes": [theirs, old]}, branch)
    assert found["routes"] == [theirs, branch]


def test_what_files_keep_is_left_alone_and_said(fake, grafana):
    fake.policies_provenance = "file"
    with pytest.raises(GrafanaError, match=r"the tree of notification policies was provisioned"):
        push_contacts(grafana, contacts(), verify=False)
    assert fake.contact_points == [], "nothing is written before that is known"
    fake.policies_provenance = ""
    push_contacts(grafana, contacts(), verify=False)
    fake.contact_points[0]["provenance"] = "api"
    with pytest.raises(GrafanaError, match=r"contact point 'nibai oncall' was provisioned \(api\)"):
        push_contacts(grafana, contacts(), verify=False)


def test_what_somebody_changed_meanwhile_is_not_undone(fake, grafana):
    theirs = {**fake.policies, "routes": [{"receiver": "grafana-default-email", "group_by": ["x"]}]}
    make = fake._new_point

    def while_points_are_made(body):
        fake.policies = theirs
        return make(body)

    fake._new_point = while_points_are_made
    with pytest.raises(GrafanaError) as caught:
        push_contacts(grafana, contacts(), verify=False)
    assert str(caught.value) == (
        "somebody changed the notification policies while they were pushed: they were left as they "
        "are now, and the contact points are there; push again"
    )
    assert fake.policies == theirs
    assert push_contacts(grafana, contacts(), verify=True)[-1].startswith("read back")
    assert fake.policies["routes"][1] == theirs["routes"][0]


def test_a_receiver_that_is_gone_is_a_note(fake, grafana):
    push_contacts(grafana, contacts(), verify=False)
    fewer = {**ROUTE, "branches": [], "receivers": {"oncall": ROUTE["receivers"]["oncall"]}}
    lines = push_contacts(grafana, contacts(fewer), verify=True)
    gone = "note: the contact point nibai quiet (sns) is no longer in the file: remove it"
    assert gone in lines
    assert len(fake.contact_points) == 6


def test_a_refusal_does_not_repeat_a_secret(fake, grafana):
    fake.fail(400, "invalid key pd-SECRET-2 and https://h/SECRET-3", method="POST")
    with pytest.raises(GrafanaError) as caught:
        push_contacts(grafana, contacts(), verify=False)
    assert "invalid key *** and ***" in str(caught.value)
    assert "SECRET" not in repr(contacts().points[0])


@pytest.mark.parametrize(
    ("route", "said"),
    [
        (None, "the rule file has no receivers"),
        (
            {"default": "a", "receivers": {"a": [{"apprise": {"urls": ["env:HOOK"]}}]}},
            (
                "Grafana can tell nothing of the receiver 'a': a.apprise stays with nibai: Grafana "
                "has no apprise"
            ),
        ),
        (
            {"default": "a", "receivers": {"a": [
                {"webhook": {"url": "https://x", "format": "cloudevents"}},
                {"alertmanager": {"urls": ["https://x"], "token": "env:HOOK"}},
                {"pagerduty": {"routing_key": "env:PD_KEY", "url": "https://x"}},
            ]}},
            (
                "a.webhook stays with nibai: it posts no CloudEvents; a.alertmanager stays with "
                "nibai: its Alertmanager takes neither a token nor a secret address; a.pagerduty "
                "stays with nibai: its PagerDuty has no address of its own"
            ),
        ),
    ],
)  # fmt: skip
def test_a_route_that_grafana_cannot_take_is_refused(route, said):
    with pytest.raises(UsageError) as caught:
        export(rules(route))
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"contact_points": [{}]}', '{"contact_points": []}'])
def test_a_file_that_is_no_export_is_refused(text):
    with pytest.raises(UsageError, match="these are no contact points for Grafana"):
        read_contacts(text, resolve)


def test_the_commands_bring_rules_contacts_and_policy(fake, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRAFANA_TOKEN", TOKEN)
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(
        {"apiVersion": "nibai.dev/v1alpha1", "kind": "RuleSet", "route": ROUTE}
    ))  # fmt: skip
    for form in ("grafana", "grafana-contacts"):
        arguments = ["rules", "export", "--format", form, "--rules", "rules.yaml"]
        assert cli.invoke(arguments) == 0
        (tmp_path / f"{form}.json").write_text(capsys.readouterr().out)
    push = ["dashboards", "push", "--url", fake.url, "--token", "env:GRAFANA_TOKEN", "--verify",
            "--rules", "grafana.json", "--contacts", "grafana-contacts.json"]  # fmt: skip
    assert cli.invoke(push) == 0
    said = capsys.readouterr()
    assert "read back: 6 contact points and their policy are there" in said.out
    assert "SECRET" not in said.out + said.err
    ((_, group),) = fake.groups.items()
    assert {rule["labels"]["nibai"] for rule in group["rules"]} == {"true"}
    monkeypatch.delenv("PD_KEY")
    assert cli.invoke(push) == 2
    assert "the secret env:PD_KEY is empty or missing" in capsys.readouterr().err
    assert ConfigError("").exit_code == 2
