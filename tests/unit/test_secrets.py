"""Secrets of every shape stay out of what commands print, and what is none stays in."""

import ast
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from nibai import cli
from nibai.app import doctor
from nibai.cli.saying import say, say_document, say_json
from nibai.config import load_config
from nibai.errors import ConfigError
from nibai.protocols import Capability
from nibai.protocols.checks import Standing
from nibai.redaction import redacted, redacted_values

COMMANDS = Path(cli.__file__).parent
SECRET = "hunt3r2-S3cret"  # noqa: S105 - made up
SHAPES = [
    f"https://me:{SECRET}@host/x is refused",
    f"postgresql+psycopg://me:{SECRET}@db:5432/nibai",
    f"postgresql://me:a/{SECRET}@db/nibai",
    f"redis://:{SECRET}@cache",
    f"https://{SECRET}-0123456789@git.example/x",
    f"GET /x?token={SECRET}&page=2",
    f"GET /x?api-key={SECRET}",
    f"GET /x?key={SECRET}",
    f"s3://b/k?X-Amz-Signature={SECRET}&X-Amz-Credential=x",
    f"aws_secret_access_key={SECRET}",
    f"host=db user=me password={SECRET} dbname=x",
    f'{{"routing_key": "{SECRET}"}}',
    f'{{"SecretAccessKey":"{SECRET}"}}',
    f'{{"token": "quoted \\" {SECRET}"}}',
    f"{{'password': '{SECRET}'}}",
    f"grafana:\n  token: {SECRET}\n  url: x",
    f"- private_key: '{SECRET}'",
    f"Authorization: Bearer {SECRET}",
    f"authorization: basic {SECRET}=",
    f"Authorization: Token {SECRET}",
    f"X-Vault-Token: {SECRET}",
    f"Api-Key: {SECRET}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
    f"xoxb-{SECRET}",
    f"glsa_{SECRET}",
    f"ghp_{SECRET}",
    f"eyJ{SECRET}.{SECRET}.{SECRET}",
    f"https://hooks.slack.com/services/T0/B0/{SECRET}",
    f"https://discord.com/api/webhooks/1234/{SECRET}",
    f"https://acme.webhook.office.com/webhookb2/{SECRET}",
    f"https://api.telegram.org/bot123:{SECRET}/sendMessage",
]
NONE = [
    "postgresql://nibai@db/nibai is away",
    "http://127.0.0.1:4318/v1/traces",
    "set otlp.token: env:NIBAI_TOKEN",
    "web.token is missing: set it",
    "token: file:/run/secrets/web",
    "prompt_tokens=512, tokens=128-1024",
    "send it as Authorization: Bearer …",
    "sagemaker/123456789012.eu-west-1/chat-prod, user@example.com",
    "2x faster at p50 for model=8x7b",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:nibai",
]


@pytest.mark.parametrize("text", SHAPES)
def test_a_secret_of_any_shape_is_left_out(text):
    left = redacted(text)
    assert SECRET not in left
    assert "[secret]" in left
    assert redacted(left) == left
    assert SECRET not in json.dumps(redacted_values({"said": [text]}))


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_secret_stays_as_it_is(text):
    assert redacted(text) == text


@pytest.mark.parametrize(
    "word",
    ["x.y-", "a://b:", "token", "'token':", "://", "-----BEGIN PRIVATE KEY-----", "a@", "- "],
)
def test_a_long_text_costs_no_more_than_its_length(word):
    """A line from outside must not stop nibai."""

    def took(size):
        begun = time.process_time()
        redacted(word * (size // len(word)))
        return time.process_time() - begun

    assert took(40_000) < 1.0


def test_what_stands_under_a_secrets_name_is_hidden_whole():
    document = {"password": "two words", "deep": [{"api_key": "x"}], "token": "env:T", "n": 1}
    assert redacted_values(document) == {
        "password": "[secret]", "deep": [{"api_key": "[secret]"}], "token": "env:T", "n": 1,
    }  # fmt: skip


@pytest.mark.parametrize("text", SHAPES)
def test_commands_print_none_of_them(text, capsys):
    say(text)
    say(text, err=True)
    say_document({"said": text})
    say_json(json.dumps({"said": text}) + "\n")
    out, err = capsys.readouterr()
    assert SECRET not in out + err
    for line in out.split("\n{")[1:]:
        json.loads("{" + line)


def test_json_without_secrets_is_printed_to_the_letter(capsys):
    text = '{"a":   1.50}\n'
    say_json(text)
    assert capsys.readouterr().out == text


def test_every_command_speaks_through_one_place():
    """`click.echo` and `print` stand where nothing from outside can be printed."""
    found = [
        (path.name, ast.unparse(node))
        for path in sorted(COMMANDS.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"click.echo", "print"}
    ]
    assert {name for name, _ in found} == {"__init__.py", "saying.py"}
    assert [call for name, call in found if name == "__init__.py"] == [
        "click.echo(f'nibai {__version__}')"
    ]


def test_check_config_prints_the_configuration_without_passwords(tmp_path, capsys):
    file = tmp_path / "nibai.yaml"
    file.write_text(f"state: postgresql://me:{SECRET}@db/nibai\notlp: {{token: env:T}}\n")
    assert cli.invoke(["check-config", "--config", str(file)]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["state"] == "postgresql://me:[secret]@db/nibai"
    assert printed["otlp"]["token"] == "env:T"  # noqa: S105 - a reference


def test_a_file_that_is_no_yaml_is_told_by_its_line_not_by_what_stands_there(tmp_path):
    file = tmp_path / "nibai.yaml"
    file.write_text(f"grafana:\n  token: [{SECRET}\n")
    with pytest.raises(ConfigError, match=r"is no YAML: line 3, column 1: while parsing") as told:
        load_config(file, {})
    assert SECRET not in str(told.value)


def test_doctor_prints_no_secret_in_either_form(tmp_path, monkeypatch, capsys):
    said = Capability("cloud", "reads", Standing.DENIED, SHAPES[0], f"fix {SHAPES[5]}")
    monkeypatch.setattr(doctor, "examiners", lambda *_: [])
    monkeypatch.setattr(doctor, "examine", lambda *_: [doctor.Finding(said, None)])
    for form in ("text", "json"):
        code = cli.invoke(["doctor", "--data", str(tmp_path), "--format", form])
        out, err = capsys.readouterr()
        assert code == 0
        assert SECRET not in out + err
        assert "https://me:[secret]@host/x is refused" in out


def test_what_libraries_log_in_a_command_holds_no_secret(tmp_path):
    script = (
        "import logging, sys\n"
        "from nibai.cli.common import configuration\n"
        f"configuration(None, {str(tmp_path)!r})\n"
        f"logging.getLogger('boto3').warning('refused: %s', {SHAPES[0]!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stderr == "refused: https://me:[secret]@host/x is refused\n"
