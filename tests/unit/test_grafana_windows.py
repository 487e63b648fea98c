"""Windows and verdicts of a change in Grafana, drawn once and kept in step."""

from dataclasses import replace

import pytest
from support import audits
from support.grafana_server import TOKEN, FakeGrafana, served

from dashboards.grafana import windows
from dashboards.grafana.client import LegacyGrafana
from dashboards.grafana.transport import Transport
from nibai import plugins
from nibai.app.annotators import annotators
from nibai.config import Config
from nibai.errors import ConfigError
from nibai.model import Verdict
from nibai.protocols import Annotator


@pytest.fixture(scope="module")
def fake():
    with served(FakeGrafana()) as grafana:
        yield grafana


@pytest.fixture
def annotator(fake):
    fake.annotations.clear()
    fake.requests.clear()
    transport = Transport(fake.url, TOKEN)
    yield windows.WindowAnnotator(LegacyGrafana(transport))
    transport.close()


def audit(**changes):
    made = audits.mixed()
    before = replace(made.baseline, from_seconds=audits.START, until_seconds=audits.START + 3600)
    after = replace(
        made.candidate,
        from_seconds=audits.START + 4500,
        until_seconds=audits.START + 9000,
    )
    change = replace(made.change, effective_at=audits.START + 3600)
    return replace(made, **{"baseline": before, "candidate": after, "change": change, **changes})


def test_three_regions_with_our_tags_and_the_verdict(fake, annotator, golden):
    annotator.annotate(audit())
    lines = [
        f"{one['time']} {one['timeEnd']} {' '.join(one['tags'])}\n{one['text']}\n"
        for one in fake.annotations.values()
    ]
    golden("grafana_windows.txt", "\n".join(lines))


def test_the_same_audit_again_writes_nothing(fake, annotator):
    annotator.annotate(audit())
    annotator.annotate(audit())
    assert len(fake.annotations) == 3
    assert fake.asked("PATCH") == []


def test_a_verdict_that_arrives_is_patched_into_all_three(fake, annotator):
    annotator.annotate(audit(verdict=Verdict.INCONCLUSIVE))
    annotator.annotate(audit())
    assert len(fake.annotations) == 3
    assert all("verdict:refuted" in one["tags"] for one in fake.annotations.values())
    assert not any("verdict:inconclusive" in one["tags"] for one in fake.annotations.values())


def test_changes_of_other_endpoints_are_left_alone(fake, annotator):
    annotator.annotate(audit())
    other = replace(audit().change, id="another")
    annotator.annotate(audit(change=other))
    assert len(fake.annotations) == 6


def test_a_window_without_times_is_not_drawn(fake, annotator):
    made = audits.mixed()
    unknown = replace(made.baseline, from_seconds=None, until_seconds=None)
    annotator.annotate(replace(made, baseline=unknown, candidate=unknown))
    assert fake.requests == []


def test_text_from_outside_is_inert_and_long_names_fit(fake, annotator):
    hostile = replace(audit().baseline, label=audits.HOSTILE)
    change = replace(audit().change, id=400 * "c", endpoint="sagemaker/" + 300 * "e")
    annotator.annotate(audit(change=change, baseline=hostile))
    annotator.annotate(audit(change=change, baseline=hostile))
    assert len(fake.annotations) == 3
    assert "<script" not in "".join(one["text"] for one in fake.annotations.values())
    assert len({windows.tag("change", 400 * "c"), windows.tag("change", 401 * "c")}) == 2


def test_the_annotator_is_a_plug_in():
    options = {"url": "http://127.0.0.1:9", "token": TOKEN}
    assert isinstance(plugins.load("nibai.annotators", "grafana", options), Annotator)
    assert Transport("http://127.0.0.1:9/grafana/", TOKEN).base == "http://127.0.0.1:9/grafana"


def test_the_configuration_says_who_annotates(fake):
    section = {"url": fake.url, "token": "env:GRAFANA_TOKEN"}
    config = Config.model_validate({"grafana": section})
    made = annotators(config, {"GRAFANA_TOKEN": TOKEN})["grafana"]
    assert isinstance(made, windows.WindowAnnotator)
    assert annotators(Config(), {}) == {}
    off = Config.model_validate({"grafana": {**section, "annotate": False}})
    assert annotators(off, {}) == {}
    with pytest.raises(ConfigError, match=r"grafana\.annotate needs grafana\.token"):
        annotators(Config.model_validate({"grafana": {"url": fake.url}}), {})
    with pytest.raises(ConfigError, match="env:GRAFANA_TOKEN is empty or missing"):
        annotators(config, {})
