"""Grafana by its documented HTTP API: versions, refusals, retries, and no token in any error."""

import json

import pytest
from support.grafana_server import TOKEN, FakeGrafana, served

from alerts.exports import grafana as grafana_rules
from alerts.rules.reading import load_rules
from dashboards.grafana import build
from dashboards.grafana.client import LegacyGrafana
from dashboards.grafana.port import Annotation, GrafanaError
from dashboards.grafana.push import differing, push, push_rules, try_annotation
from dashboards.grafana.transport import Transport
from nibai import cli
from nibai.errors import NotifyError, UsageError

RULE = {
    "title": "claim refuted", "condition": "C", "data": [], "for": "0s",
    "noDataState": "OK", "execErrState": "KeepLast",
}  # fmt: skip
TEXTS = build.committed()


@pytest.fixture
def fake():
    with served(FakeGrafana()) as grafana:
        yield grafana


OPEN = []


@pytest.fixture(autouse=True)
def closed():
    yield
    while OPEN:
        OPEN.pop().close()


def client(fake, token=TOKEN, **options):
    OPEN.append(Transport(fake.url, token, backoff_seconds=0.0, **options))
    return LegacyGrafana(OPEN[-1])


@pytest.mark.parametrize("version", ["10.0.0", "11.2.0", "12.4.1", "13.0.2"])
def test_a_push_is_read_back_as_it_was_sent_by_every_version(version):
    with served(FakeGrafana(version)) as fake:
        lines = push(client(fake), TEXTS, "Inference", "nibai 0.1.0", verify=True)
        again = push(client(fake), TEXTS, "Inference", "nibai 0.1.0", verify=True)
    assert lines == again == [
        f"Grafana {version}",
        "Prometheus data sources: Prometheus",
        "pushed nibai · change audit: /d/nibai-change-audit/slug",
        "pushed nibai · drift: /d/nibai-drift/slug",
        "pushed nibai · fleet: /d/nibai-fleet/slug",
        "read back: 3 dashboards are there as they were pushed",
    ]  # fmt: skip
    assert fake.folders["nibai"]["title"] == "Inference"
    assert {one["dashboard"]["version"] for one in fake.dashboards.values()} == {2}


def test_a_folder_is_renamed_and_a_race_for_it_is_lost_in_peace(fake):
    client(fake).upsert_folder("nibai", "nibai")
    client(fake).upsert_folder("nibai", "Inference")
    assert fake.folders["nibai"]["title"] == "Inference"
    # Not there, then taken: another process made it between the two questions.
    fake.fail(404, "folder not found", method="GET")
    client(fake).upsert_folder("nibai", "Inference")
    assert fake.asked("POST") == ["/api/folders"] * 2


@pytest.mark.parametrize("version", ["10.4.0", "12.0.0"])
def test_a_folder_title_that_is_taken_is_said(version):
    with served(FakeGrafana(version)) as fake:
        client(fake).upsert_folder("other", "nibai")
        with pytest.raises(GrafanaError, match="a folder with the same name exists") as caught:
            client(fake).upsert_folder("nibai", "nibai")
    assert caught.value.status in {409, 412}
    assert str(caught.value).endswith(
        "something of this name is there already: rename one"
        if version == "12.0.0"
        else "somebody else changed it, or it belongs to a plug-in: look at it first"
    )


def test_what_was_changed_on_the_server_is_named(fake):
    push(client(fake), TEXTS, "nibai", "x", verify=False)
    held = fake.dashboards["nibai-fleet"]
    held["dashboard"]["title"] = "mine"
    held["meta"]["folderUid"] = "general"
    held["dashboard"]["panels"][0]["targets"][0]["expr"] = "up"
    held["dashboard"]["panels"][1]["title"] = "Other"
    del fake.dashboards["nibai-drift"]
    found = [line for text in TEXTS.values() for line in differing(client(fake), json.loads(text))]
    assert found == [
        "nibai-drift: is not there",
        "nibai-fleet: is in the folder 'general', not 'nibai'",
        "nibai-fleet: has the title 'mine'",
        "nibai-fleet: the panel 'Claims, 90 days' is missing",
        "nibai-fleet: the panel 'Endpoints' asks something else",
        "nibai-fleet: the panel 'Other' is not ours",
    ]


def test_annotations_are_found_by_every_tag_and_patched_whole(fake):
    grafana = client(fake)
    tags = ("nibai", "change:a&b=c d", "window:baseline")
    number = grafana.annotate(Annotation(1_700_000_000.0, 1_700_003_600.0, "before", tags))
    grafana.annotate(Annotation(0.0, 60.0, "other", ("nibai", "change:a")))
    (found,) = grafana.find_annotation(("nibai", "change:a&b=c d"))
    assert (found.id, found.annotation.tags) == (number, tags)
    assert found.annotation.end == 1_700_003_600.0
    after = Annotation(1_700_000_000.0, 1_700_003_600.0, "after", (*tags, "verdict:refuted"))
    grafana.patch_annotation(number, after)
    (found,) = grafana.find_annotation(("verdict:refuted",))
    assert found.annotation == after


def test_a_mark_that_is_not_found_again_is_said_and_removed(fake):
    grafana = client(fake)
    grafana.find_annotation = lambda _tags: ()
    with pytest.raises(NotifyError, match="does not find the mark that was written"):
        try_annotation(grafana, 1_700_000_000.0)
    assert fake.annotations == {}


def test_a_rule_group_is_put_whole_and_stays_editable(fake):
    grafana = client(fake)
    grafana.upsert_folder("nibai", "nibai")
    grafana.put_rule_group("nibai", "claims of nibai/1", 60, [RULE])
    group = fake.groups["nibai", "claims of nibai/1"]
    assert group["editable"]
    assert group["rules"] == [RULE]
    with pytest.raises(GrafanaError, match="invalid alert rule"):
        grafana.put_rule_group("nibai", "claims", 60, [{"title": "x"}])


def exported(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    path = tmp_path / "rules.json"
    path.write_text(grafana_rules.export(load_rules(tmp_path / "rules.yaml")))
    return path


RULES = """
apiVersion: nibai.dev/v1alpha1
kind: RuleSet
groups:
- name: claims
  interval: 1m
  rules:
  - claim: "2x faster at p99"
    name: twice-as-fast
    alert: {refuted: {severity: critical}}
"""


def test_exported_rules_are_pushed_beside_the_dashboards(fake, tmp_path):
    text = exported(tmp_path).read_text()
    client(fake).upsert_folder("nibai", "nibai")
    lines = push_rules(client(fake), text, verify=True)
    assert lines[-1] == "read back: 2 rule groups are there as they were pushed"
    assert lines[0].startswith("pushed the rule group claims: ")
    held = fake.groups["nibai", "claims"]["rules"]
    held[0]["data"][0]["model"]["expr"] = "up"
    held.append({"title": "mine"})
    del fake.groups["nibai", "nibai-itself"]
    quiet = client(fake)
    quiet.put_rule_group = lambda *_: None
    with pytest.raises(NotifyError) as caught:
        push_rules(quiet, text, verify=True)
    assert str(caught.value).splitlines() == [
        "Grafana does not hold what was pushed",
        "the rule 'mine' of 'claims' differs",
        f"the rule {held[0]['title']!r} of 'claims' asks something else",
        "the rule group 'nibai-itself' is not there",
    ]


@pytest.mark.parametrize("text", ["{", "{}", "[1]", '[{"title": "x"}]'])
def test_a_file_that_is_no_export_is_refused(fake, text):
    with pytest.raises(UsageError, match="these are no rule groups for Grafana"):
        push_rules(client(fake), text, verify=False)


def test_an_empty_answer_is_an_empty_document(fake):
    fake.fail(204, body=b"")
    assert client(fake)._http.ask("PATCH", "/annotations/1", {}) == {}
    fake.fail(200, body=b"", method="PUT")
    assert client(fake)._http.ask("PUT", "/anything", {}) == {}


@pytest.mark.parametrize(
    ("status", "method", "ask", "sent"),
    [
        (429, "GET", lambda grafana: grafana.health(), 3),
        (502, "GET", lambda grafana: grafana.health(), 3),
        (503, "PUT", lambda grafana: grafana.put_rule_group("nibai", "g", 60, [RULE]), 3),
        (429, "POST", lambda grafana: grafana.annotate(Annotation(0.0, 1.0, "x", ())), 3),
        (503, "POST", lambda grafana: grafana.annotate(Annotation(0.0, 1.0, "x", ())), 1),
        (500, "GET", lambda grafana: grafana.health(), 1),
    ],
)
def test_what_may_be_sent_again_is_and_nothing_else(fake, status, method, ask, sent):
    client(fake).upsert_folder("nibai", "nibai")
    before = len(fake.asked(method))
    fake.fail(status, "later", times=2, method=method, headers={"Retry-After": "0"})
    try:
        ask(client(fake))
        refused = None
    except GrafanaError as error:
        refused = error
    assert len(fake.asked(method)) - before == sent
    assert (refused is None) == (sent == 3)
    assert refused is None or refused.retryable


def test_retrying_ends_and_says_the_status(fake):
    fake.fail(429, "slow down", times=9, headers={"Retry-After": "0"})
    with pytest.raises(GrafanaError) as caught:
        client(fake).health()
    host = fake.url.removeprefix("http://")
    assert str(caught.value) == (
        f"Grafana at {host} answers GET /api/health with 429 (“slow down”): try again later"
    )
    assert (caught.value.retryable, caught.value.reason) == (True, "throttled")
    assert len(fake.asked("GET")) == 4


def test_the_organization_and_our_name_are_sent(fake):
    client(fake, org_id=1).data_sources()
    headers = fake.requests[-1][2]
    assert headers["X-Grafana-Org-Id"] == "1"
    assert headers["User-Agent"] == "nibai"
    with pytest.raises(GrafanaError, match="not a member of this organization"):
        client(fake, org_id=2).data_sources()


REFUSALS = {
    "wrong token": (401, "Invalid API key", {}),
    "no permission": (403, "Permissions needed: folders:create", {}),
    "wrong path": (404, "", {}),
    "taken": (409, "exists", {}),
    "changed": (412, "changed by someone else", {}),
    "bad": (400, "Cannot save provisioned dashboard", {}),
    "broken": (500, f"panic with {TOKEN}\nin a line\x1b[31m", {}),
    "moved": (302, "", {"Location": "https://grafana.example/login"}),
}


def test_every_refusal_in_words_without_the_token(fake, golden):
    lines = []
    for name, (status, message, headers) in REFUSALS.items():
        fake.fail(status, message, headers=headers)
        with pytest.raises(GrafanaError) as caught:
            client(fake).annotate(Annotation(0.0, 1.0, "x", ()))
        host = fake.url.removeprefix("http://")
        text = str(caught.value).replace(host, "grafana.example:3000")
        again = "retryable" if caught.value.retryable else "final"
        lines += [f"# {name} ({again}, {caught.value.reason})", text, ""]
    assert TOKEN not in "".join(lines)
    golden("grafana_refusals.txt", "\n".join(lines))


@pytest.mark.parametrize("body", [["a list"], "text", None, {"error": "no message"}])
def test_a_refusal_without_a_message_is_still_one(fake, body):
    fake.fail(400, body=body)
    with pytest.raises(GrafanaError, match="with 400: its words say why"):
        client(fake).annotate(Annotation(0.0, 1.0, "x", ()))


def test_a_page_instead_of_json_and_a_closed_door(fake):
    fake.fail(200, body=b"<html>Sign in</html>")
    with pytest.raises(GrafanaError, match=r"with no JSON: check grafana\.url, a login page"):
        client(fake).health()
    closed = LegacyGrafana(Transport("http://127.0.0.1:9", TOKEN, backoff_seconds=0.0))
    with pytest.raises(GrafanaError, match=r"cannot be reached \(ConnectionError\)") as caught:
        closed.health()
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("health", "said"),
    [
        ({"database": "ok"}, "Grafana hides its version; 10 to 13 are supported"),
        ({"database": "ok", "version": "14.1.0"}, "Grafana 14.1.0 (newer than 13, not tried)"),
    ],
)
def test_versions_that_are_hidden_or_new_are_tried(health, said):
    with served(FakeGrafana(health=health)) as fake:
        assert push(client(fake), {}, "nibai", "x", verify=False)[0] == said


@pytest.mark.parametrize(
    ("health", "said"),
    [
        ({"database": "ok", "version": "9.5.1"}, "Grafana 9.5.1 is too old"),
        ({"database": "failing", "version": "11.0.0"}, "its database is not well"),
        ({"hello": 1}, "in a shape that nibai does not know"),
    ],
)
def test_a_grafana_that_cannot_work_is_said_at_once(health, said):
    with served(FakeGrafana(health=health)) as fake:
        with pytest.raises(GrafanaError, match=said):
            push(client(fake), TEXTS, "nibai", "x", verify=False)
        assert fake.asked("POST") == []


def test_sources_that_are_missing_or_hidden_are_notes(fake):
    fake.sources = ("loki",)
    assert push(client(fake), {}, "nibai", "x", verify=False)[1] == (
        "note: there is no Prometheus data source; add the one that scrapes nibai"
    )
    fake.refused_path = "/datasources"
    assert push(client(fake), {}, "nibai", "x", verify=False)[1] == (
        "note: the token may not list data sources; the dashboards need a Prometheus"
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("grafana:3000", "'grafana:3000' is no http:// or https:// address"),
        ("https://admin:pw@grafana", "grafana.url holds credentials"),
        ("ftp://admin:pw@grafana", "'ftp://***@grafana' is no http"),
        ("https://grafana/?orgId=1", "grafana.url has a query"),
    ],
)
def test_an_address_that_is_none(url, said):
    with pytest.raises(UsageError) as caught:
        Transport(url, TOKEN)
    assert said in str(caught.value)
    assert "pw" not in str(caught.value)


def test_the_command_pushes_and_verifies(fake, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRAFANA_TOKEN", TOKEN)
    (tmp_path / "nibai.yaml").write_text(
        f"grafana: {{url: '{fake.url}', token: env:GRAFANA_TOKEN}}"
    )
    assert cli.invoke(["dashboards", "push", "--verify", "--folder", "Inference"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-3:] == [
        "read back: 3 dashboards are there as they were pushed",
        "marks: one was written, found by its tags, changed and removed",
        "note: http:// sends the token unencrypted",
    ]
    assert fake.folders["nibai"]["title"] == "Inference"
    assert fake.annotations == {}
    monkeypatch.setenv("GRAFANA_TOKEN", "glsa_WRONG")
    assert cli.invoke(["dashboards", "push"]) == 7
    err = capsys.readouterr().err
    assert "401 (“Invalid API key”)" in err
    assert "glsa_WRONG" not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nibai: no Grafana is known: give --url, or grafana.url in nibai.yaml\n"),
        (
            ["--url", "http://127.0.0.1:9"],
            "nibai: no token for Grafana: give --token env:NAME, or grafana.token in nibai.yaml\n",
        ),
        (
            ["--url", "http://127.0.0.1:9", "--token", "glsa_x"],
            "nibai: --token is a reference, env:NAME or file:PATH, never the token itself\n",
        ),
        (
            ["--url", "http://127.0.0.1:9", "--token", "env:NIBAI_NOT_SET"],
            "nibai: the secret env:NIBAI_NOT_SET is empty or missing: set it\n",
        ),
    ],
)
def test_what_the_command_lacks_is_said(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.invoke(["dashboards", "push", *arguments]) == 2
    assert capsys.readouterr().err == said
