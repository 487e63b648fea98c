"""The configuration reports every problem at once, by file and key, and no secret."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from nibai import cli
from nibai.cli.run import _listening
from nibai.config import Config, is_loopback, load_config, resolve_secret
from nibai.errors import ConfigError

BAD = """\
dta: x
collector_id: "a b"
minute_horizon: 3 weeks
otlp:
  listen: 0.0.0.0:4318
  max_body: huge
  tokn: env:X
"""


def test_all_problems_at_once(tmp_path, monkeypatch, golden):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text(BAD)
    with pytest.raises(ConfigError) as caught:
        load_config(Path("bad.yaml"), {})
    golden("config_errors.txt", f"{caught.value}\n")


def test_an_open_address_needs_a_token(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.invoke(["run", "--listen", "0.0.0.0:4318"]) == 2
    assert "needs a token" in capsys.readouterr().err
    (tmp_path / "nibai.yaml").write_text("otlp: {listen: '0.0.0.0:4318', token: 'env:T'}\n")
    reference = load_config(None, {}).otlp.token
    assert reference == "env:T"


def test_another_address_leaves_the_rest_of_the_section_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nibai.yaml").write_text(
        "otlp: {past_wait: 5m, quiet_after: 2h, tls: {certificate: a.crt, key: a.key}}\n"
    )
    config = _listening(load_config(None, {}), "127.0.0.1:1")
    assert (config.otlp.listen, config.otlp.past_wait, config.otlp.quiet_after) == (
        "127.0.0.1:1", 300.0, 7200.0,
    )  # fmt: skip
    assert str(config.otlp.tls.key) == "a.key"


def test_a_secret_is_a_reference_and_never_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nibai.yaml").write_text("otlp: {token: 'hunter2-secret'}\n")
    assert cli.invoke(["check-config"]) == 2
    said = capsys.readouterr()
    assert "hunter2" not in said.out + said.err
    assert "env:NAME or file:PATH" in said.err


def test_secrets_are_read_from_where_they_are(tmp_path):
    (tmp_path / "token").write_text("abc\n")
    assert resolve_secret(f"file:{tmp_path / 'token'}", {}) == "abc"
    assert resolve_secret("env:T", {"T": "xyz"}) == "xyz"
    with pytest.raises(ConfigError, match="env:T is empty or missing"):
        resolve_secret("env:T", {})
    (tmp_path / "token").write_bytes(b"\xff\xfe")  # no text: as good as missing
    with pytest.raises(ConfigError, match="token is empty or missing"):
        resolve_secret(f"file:{tmp_path / 'token'}", {})


def test_everything_has_a_default_and_the_environment_moves_the_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(load_config(None, {}).data) == "nibai-data"
    assert str(load_config(None, {"NIBAI_DATA_DIR": "/srv/n"}).data) == "/srv/n"


def test_check_config_prints_what_is_in_force(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nibai.yaml").write_text("minute_horizon: 7d\n")
    assert cli.invoke(["check-config"]) == 0
    assert "minute_horizon: 604800.0" in capsys.readouterr().out


def test_check_config_names_every_cron_line_that_would_not_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = 'schedule: {fleet: {cron: "61 * * * *"}, follow: {cron: "0 0 31 feb *"}}'
    (tmp_path / "nibai.yaml").write_text(lines)
    assert cli.invoke(["check-config"]) == 2
    said = capsys.readouterr().err
    assert "schedule.fleet.cron: '61 * * * *' is no cron line" in said
    assert "schedule.follow.cron: '0 0 31 feb *' never comes" in said


@pytest.mark.parametrize(
    ("listen", "local"),
    [("127.0.0.1:1", True), ("[::1]:1", True), ("localhost:1", True), ("0.0.0.0:1", False),
     ("[::]:1", False), ("10.0.0.1:1", False), ("example:1", False)],
)  # fmt: skip
def test_loopback(listen, local):
    assert is_loopback(listen) is local


def test_two_entries_of_one_source_are_refused():
    section = {"account": "123456789012", "region": "eu-west-1", "endpoints": {"chat": ["blue"]}}
    other = {**section, "path": "promql"}
    said = "cloudwatch-123456789012-eu-west-1 is read by two entries"
    with pytest.raises(ValidationError, match=said):
        Config.model_validate({"cloudwatch": [section, other]})
    apart = {**other, "region": "us-east-1"}
    assert len(Config.model_validate({"cloudwatch": [section, apart]}).cloudwatch) == 2


def test_rules_without_looks_are_refused():
    with pytest.raises(ValidationError, match="makes no alerts while"):
        Config.model_validate({"rules": "rules.yaml", "schedule": {"follow": None}})
    assert Config.model_validate({"schedule": {"follow": None}}).rules is None
