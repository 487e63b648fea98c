"""Each rule of the lint finds a dashboard that breaks it, in these words."""

import copy
import json
import sys
from pathlib import Path

import pytest

from dashboards.grafana import build, lint
from nibai import cli
from nibai.conventions import METRICS

FILES = build.committed()
FLEET = json.loads(FILES["fleet.json"])


def panel(document, title):
    return next(one for one in document["panels"] if one["title"] == title)


def rate(document, expression):
    panel(document, "Requests per second")["targets"][0]["expr"] = expression


def source(document):
    panel(document, "Collector lag")["targets"][0]["datasource"]["uid"] = "P1809F7CD0C75ACF3"


def no_source_variable(document):
    document["templating"]["list"] = document["templating"]["list"][1:]


def untitled(document):
    panel(document, "Collector lag")["title"] = " "


def twins(document):
    panel(document, "Collector lag")["title"] = "Error ratio"


def undescribed(document):
    panel(document, "Collector lag")["description"] = "Age of things."


def misdescribed(document):
    panel(document, "Collector lag")["description"] = "Age. Metric: nibai_wal_bytes"


def no_unit(document):
    del panel(document, "Collector lag")["fieldConfig"]["defaults"]["unit"]


def no_targets(document):
    panel(document, "Collector lag")["targets"] = []


def same_letter(document):
    one = panel(document, "Collector lag")
    one["targets"] = [one["targets"][0], copy.deepcopy(one["targets"][0])]


def empty_query(document):
    panel(document, "Collector lag")["targets"][0]["expr"] = " "


def fixed_window(document):
    rate(document, "sum by (endpoint) (rate(nibai_requests_total[5m]))")


def raw_counter(document):
    rate(document, "sum by (endpoint) (nibai_requests_total)")


def loose_counter(document):
    rate(document, "rate(nibai_requests_total[$__rate_interval])")


def editable(document):
    document["editable"] = True


def own_crosshair(document):
    document["graphTooltip"] = 0


def untagged(document):
    document["tags"] = ["mine"]


def same_id(document):
    document["panels"][1]["id"] = 1


def no_id(document):
    document["panels"][1]["id"] = None


def long_uid(document):
    document["uid"] = "nibai-" + 40 * "x"


def undeclared(document):
    rate(document, 'sum(rate(nibai_requests_total{endpoint="$endpoint"}[$__rate_interval]))')


def unused(document):
    document["templating"]["list"].append({"name": "spare", "type": "custom", "query": "a,b"})


def no_plugin_version(document):
    one = panel(document, "Collector lag")
    one["type"] = "xychart"
    del one["pluginVersion"]


def outside(document):
    panel(document, "Collector lag")["gridPos"]["x"] = 22


def overlapping(document):
    document["panels"][1]["gridPos"]["x"] = 1


def broken(document):
    rate(document, "sum by (endpoint) (rate(nibai_requests_total[$__rate_interval])")


def broken_marker(document):
    document["annotations"]["list"][0]["expr"] = "max by ("


def unknown_metric(document):
    rate(document, "sum by (endpoint) (rate(nibai_request_total[$__rate_interval]))")


def unknown_label(document):
    rate(document, 'sum by (endpoint) (rate(nibai_requests_total{zone="a"}[$__rate_interval]))')


def unknown_grouping(document):
    rate(document, "sum by (zone) (rate(nibai_requests_total[$__rate_interval]))")


def no_bucket(document):
    rate(document, "sum by (le) (nibai_wal_bytes_bucket)")


BROKEN = (
    source, no_source_variable, untitled, twins, undescribed, misdescribed, no_unit, no_targets,
    same_letter, empty_query, fixed_window, raw_counter, loose_counter, editable, own_crosshair,
    untagged, same_id, no_id, long_uid, undeclared, unused, no_plugin_version, outside, overlapping,
    broken, broken_marker, unknown_metric, unknown_label, unknown_grouping, no_bucket,
)  # fmt: skip


def found(break_it):
    document = copy.deepcopy(FLEET)
    break_it(document)
    return lint.problems({"fleet.json": json.dumps(document)}, whole=False)


def test_the_committed_dashboards_have_no_problem():
    assert lint.problems(FILES) == []


def test_every_rule_finds_what_breaks_it_and_says_so(golden):
    lines, rules = [], set()
    for break_it in BROKEN:
        problems = found(break_it)
        assert problems, break_it.__name__
        rules |= {one.rule for one in problems}
        lines += [f"# {break_it.__name__}", *map(str, problems), ""]
    assert rules == {*lint.RULES}
    golden("dashboards_lint.txt", "\n".join(lines))


def test_what_no_dashboard_shows_is_named():
    without = {name: text for name, text in FILES.items() if name != "drift.json"}
    facts = [str(one) for one in lint.problems(without)]
    assert facts[0] == (
        "dashboards: nibai_drift_distance_ratio: is exported and on no dashboard: show it or mark "
        "it internal [coverage]"
    )
    assert all("[coverage]" in fact for fact in facts)


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("{", "is no JSON (Expecting property name enclosed in double quotes: line 1 column 2"),
        ("[]", "is no dashboard: it has no list of panels"),
    ],
)
def test_a_file_that_is_no_dashboard_is_one_problem(text, fact):
    (one,) = lint.problems({"x.json": text})
    assert str(one).startswith(f"x.json: file: {fact}")


def test_what_is_let_off_has_a_reason_and_is_still_needed():
    for (file, rule, part), reason in lint.ALLOWED.items():
        assert len(reason) > 20
        hits = [one for one in lint.problems(FILES, {}) if one.rule == rule and part in one.where]
        assert hits, f"{file}: {rule} lets off {part}, which nothing finds"


def test_expressions_are_tried_with_every_choice_of_a_variable():
    board = lint.Board("fleet.json", FLEET)
    texts = board.filled("rate(nibai_${metric}_seconds[$__rate_interval])")
    assert "rate(nibai_ttft_seconds[5m])" in texts
    assert len(texts) == sum(metric.unit == "s" for metric in METRICS.values())
    assert board.filled("$metric", {"metric": "tpot"}) == ["tpot"]


def test_check_prints_each_problem_on_a_line(tmp_path, capsys):
    assert cli.invoke(["dashboards", "check"]) == 0
    assert capsys.readouterr().out == "3 dashboards, 15 rules: nothing wrong\n"
    document = copy.deepcopy(FLEET)
    editable(document)
    (tmp_path / "mine.json").write_text(json.dumps(document))
    assert cli.invoke(["dashboards", "check", str(tmp_path / "mine.json")]) == 2
    assert capsys.readouterr().err == (
        "nibai: dashboards have problems\n"
        "mine.json: dashboard: editable is True: set False "
        "(changes in the browser are lost with the next push) [settings]\n"
    )
    assert cli.invoke(["dashboards", "check", str(tmp_path / "none.json")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_without_the_parser_check_says_what_to_install(monkeypatch, capsys):
    for name in [one for one in sys.modules if one.startswith("dashboards.grafana.lint")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "promql_parser", None)
    monkeypatch.delattr("dashboards.grafana.lint", raising=False)
    assert cli.invoke(["dashboards", "check"]) == 2
    assert capsys.readouterr().err == (
        "nibai: checking dashboards needs promql-parser, which is not installed: "
        "pip install promql-parser\n"
    )


def test_every_rule_is_in_the_manual():
    page = (Path(__file__).parents[2] / "docs" / "dashboards.md").read_text(encoding="utf-8")
    for rule in [*lint.RULES, "coverage"]:
        assert f"`{rule}`" in page, rule
