"""Dashboards are committed as the code makes them, in Grafana's own types."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dashboards.grafana import build, promql, sdk
from nibai import cli

ROOT = Path(__file__).parents[2]
FILES = build.committed()


def documents():
    return {name: json.loads(text) for name, text in FILES.items()}


def test_the_committed_files_are_what_the_code_makes():
    assert build.differing(build.FOLDER) == [], "run make docs"
    assert sorted(FILES) == ["change_audit.json", "drift.json", "fleet.json"]


@pytest.mark.parametrize("name", sorted(FILES))
def test_grafanas_own_types_read_a_dashboard_and_write_it_the_same(name):
    document = json.loads(FILES[name])
    for marker in document["annotations"]["list"]:
        if marker["datasource"]["type"] == "grafana":
            marker.pop("target")  # the types know targets of data sources only
    read = sdk.dashboard.Dashboard.from_json(json.loads(json.dumps(document)))
    again = json.loads(json.dumps(read, cls=sdk.JSONEncoder))
    for marker in again["annotations"]["list"]:
        marker.pop("placement")  # set by the builder, unknown to Grafana 10
    assert again == document


def test_a_verdict_has_its_colour_and_nothing_else_has_one_of_those():
    judging = {"green", "red", "yellow", "orange"}
    for name, document in documents().items():
        for panel in document["panels"]:
            config = panel.get("fieldConfig", {"defaults": {}, "overrides": []})
            assert config["defaults"].get("color", {}).get("fixedColor") not in judging, name
            for override in config["overrides"]:
                for one in override["properties"]:
                    colour = one["value"].get("fixedColor") if one["id"] == "color" else None
                    verdict = override["matcher"]["options"]
                    assert colour not in judging or verdict in {
                        "confirmed", "refuted", "inconclusive", "not comparable",
                    }  # fmt: skip


def test_an_interval_is_a_band_from_its_high_to_its_low_end():
    bands = [
        (panel["title"], one["value"])
        for document in documents().values()
        for panel in document["panels"]
        for override in panel.get("fieldConfig", {}).get("overrides", [])
        for one in override["properties"]
        if one["id"] == "custom.fillBelowTo"
    ]
    assert {title for title, _ in bands} == {
        "Speed-up by quantile",
        "Seconds saved by quantile",
        "The interval narrows",
        "USD per 1k requests",
        "Flips",
        "Flips beyond noise",
        "Distance of the chosen feature or output",
        "Length of answers",
    }
    assert {low for _, low in bands} == {"low"}


def test_a_quantile_is_asked_of_native_buckets_and_else_of_classic_ones():
    text = promql.time_quantile(0.99, "endpoint", "")
    native, _, classic = text.partition(" or ")
    assert "_bucket" not in native
    assert "_bucket" in classic
    assert "by (endpoint, le)" in classic


def test_changes_are_marked_at_the_time_that_is_their_value():
    for document in documents().values():
        (marker,) = [m for m in document["annotations"]["list"] if m["name"] == "Changes"]
        assert marker["useValueForTime"] is True
        assert marker["expr"].endswith("* 1000")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda: promql.series("nibai_speed"), "nibai_speed is not in the metric registry"),
        (
            lambda: promql.series("nibai_requests_total", quantile="0.5"),
            "nibai_requests_total has no label quantile",
        ),
        (lambda: promql.rate("job", "nibai_wal_bytes"), "nibai_wal_bytes is no counter"),
    ],
)
def test_a_name_that_is_not_exported_cannot_be_asked_for(asked, said):
    with pytest.raises(ValueError, match=said):
        asked()


def test_build_writes_what_differs_and_check_names_it(tmp_path, capsys):
    assert cli.invoke(["dashboards", "build", "--output", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("wrote ") == 3
    assert cli.invoke(["dashboards", "build", "--check", "--output", str(tmp_path)]) == 0
    (tmp_path / "fleet.json").write_text("{}")
    (tmp_path / "mine.json").write_text("{}")
    assert cli.invoke(["dashboards", "build", "--check", "--output", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"nibai: fleet.json, mine.json in {tmp_path}: not what the code makes; "
        "run nibai dashboards build\n"
    )


def test_without_the_builder_the_finished_files_still_serve(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "dashboards.grafana.sdk", None)
    assert cli.invoke(["dashboards", "build"]) == 2
    assert capsys.readouterr().err == (
        "nibai: building dashboards needs grafana-foundation-sdk~=0.0.21, which is not installed: "
        "pip install 'grafana-foundation-sdk~=0.0.21'; the finished files are in "
        f"{build.FOLDER}\n"
    )
    assert build.committed() == FILES


def test_the_builder_is_a_tool_of_developers_and_the_files_are_in_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert not any("foundation" in one for one in project["project"]["dependencies"])
    assert "dashboards" in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    ignored = subprocess.run(
        ["git", "-C", str(ROOT), "check-ignore", "dashboards/json/fleet.json"],
        check=False, capture_output=True,
    )  # fmt: skip
    assert ignored.returncode != 0  # hatch leaves out what git ignores
