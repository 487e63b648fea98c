"""Claims about cost from the command line, word by word."""

import json
from pathlib import Path

import numpy as np
import pytest
from support import inputs

import nibai as package
from nibai import cli
from nibai.app import run
from nibai.claims import parse
from nibai.config import Config, load_config
from nibai.errors import ConfigError
from nibai.model import Change

HOURS = 26


@pytest.fixture
def files(tmp_path):
    def one(name, start):
        values = inputs.latencies(start, 60 * HOURS, 0.2)
        return inputs.csv(
            tmp_path / name, values, start=inputs.START + start * 86400.0 * 7, span=3600.0 * HOURS
        )

    return one("before.csv", 1), one("after.csv", 2)


def compared(files, capsys, *more):
    code = cli.invoke(["compare", "-b", files[0], "-c", files[1], "--format", "json", *more])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else said.err


def test_files_and_prices_are_an_answer(files, capsys):
    more = ("--claim", "cost at most 0.6x", "--claim", "not slower within 10% at p50")
    code, document = compared(files, capsys, "--cost-per-hour", "2,1", *more)
    first = document["claims"][0]
    assert first["verdict"] == "confirmed", first["reason"]
    assert first["evidence"]["cost"]["usd_per_hour"] == [2.0, 1.0]
    assert first["evidence"]["cost"]["sources"][0] == "price as stated; 1 replica seen"
    assert first["estimate"]["value"] == pytest.approx(2.0, rel=0.05)
    assert code == {"confirmed": 0, "refuted": 1}.get(document["verdict"], 3)


def test_without_a_price_only_the_cost_is_undecided(files, capsys):
    code, document = compared(files, capsys, "--claim", "2x cheaper")
    assert code == 3
    assert document["reason_code"] == "no_price"
    _, document = compared(files, capsys, "--claim", "2x cheaper", "--claim", "9x faster at p50")
    assert [one["verdict"] for one in document["claims"]] == ["inconclusive", "refuted"]


def test_tokens_in_a_column_give_a_price_per_million(tmp_path, capsys):
    def one(name, start):
        n = 60 * HOURS
        return inputs.csv(
            tmp_path / name, inputs.latencies(start, n, 0.2), span=3600.0 * HOURS, extra=[50] * n,
            start=inputs.START + start * 86400.0 * 7, header="timestamp,latency_ms,output_tokens",
        )  # fmt: skip

    files = one("before.csv", 1), one("after.csv", 2)
    _, document = compared(files, capsys, "--claim", "1.9x cheaper", "--cost-per-hour", "3,1.5")
    cost = document["claims"][0]["evidence"]["cost"]
    assert cost["usd_per_million_output_tokens"] == pytest.approx([1000, 500], rel=0.05)


@pytest.mark.parametrize("given", ["2", "2,1,1", "two,one", "0,1", "2,inf", "-1,2"])
def test_a_price_that_is_none_is_refused(files, capsys, given):
    code, error = compared(files, capsys, "--claim", "2x cheaper", "--cost-per-hour", given)
    assert code == 2
    assert error == (
        f"nibai: --cost-per-hour '{given}': give two numbers above 0, baseline first, such as "
        "4.10,1.006\n"
    )


def test_what_nibai_run_reports_is_priced_as_configured(tmp_path, monkeypatch):
    class Reached(Exception):  # noqa: N818 - not an error
        pass

    def office(_config, desk, _owner, **_more):
        raise Reached(desk)

    monkeypatch.setattr(run, "log_as_json", lambda: None)
    monkeypatch.setattr(run.sys, "setswitchinterval", lambda _: None)
    monkeypatch.setattr(run, "bound_memory", lambda *_: None)
    monkeypatch.setattr(run, "_office", office)
    prices = {"endpoints": {"onprem/tokyo/ocr": {"usd_per_hour": 2.5}}, "price_list": "none"}
    config = Config.model_validate({"data": str(tmp_path), "cost": prices})
    with pytest.raises(Reached) as reached:
        run.serve(config, ready_file=None, clock=lambda: 0.0)
    (desk,) = reached.value.args
    change = Change("c", "onprem/tokyo/ocr", sentences=(parse("2x cheaper"),))
    assert [one.usd_per_hour for one in desk.pricing.priced(change).costs] == [2.5, 2.5]


def test_the_function_takes_prices_too():
    rng = np.random.default_rng(1)
    audit = package.compare(
        rng.lognormal(0, 1, 500), rng.lognormal(0, 1, 500), "2x cheaper", unit="s",
        cost_per_hour=(2, 1), instances=(1, 1),
    )  # fmt: skip
    assert audit.reason.text == "without a time column there is no rate: give --time COLUMN"


def test_the_configuration_shown_is_valid(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "cost.md").read_text(encoding="utf-8")
    example = tmp_path / "nibai.yaml"
    example.write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    cost = load_config(example, {}).cost
    assert cost.endpoints["onprem/tokyo/ocr"].variants["int8"].usd_per_hour == 2.03
    assert cost.price_list == "aws"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cost: {endpoints: {a/b/c: {usd_per_hour: 0}}}", "cost.endpoints.a/b/c.usd_per_hour"),
        ("cost: {endpoints: {a/b/c: {price: 1}}}", "cost.endpoints.a/b/c.price: extra inputs"),
        ("cost: {price_list: gcp}", "cost.price_list: input should be 'none' or 'aws'"),
    ],
)
def test_wrong_prices_are_refused_with_their_place(tmp_path, text, said):
    path = tmp_path / "nibai.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    assert said in str(caught.value)
