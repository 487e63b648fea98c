"""The manual says what the code does."""

import re
import runpy
import tomllib
from pathlib import Path

import click
import pytest

from collector.otlp.naming import Naming
from collector.otlp.rows import METRIC_NAMES
from nibai import cli
from nibai.config import load_config

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize(
    ("page", "maker"),
    [
        ("reference.md", "reference"),
        ("metrics.md", "metrics"),
        ("audit.schema.json", "audit_schema"),
    ],
)
def test_the_generated_parts_are_current(page, maker):
    made = runpy.run_path(str(ROOT / "docs" / "__main__.py"))[maker]()
    assert (ROOT / "docs" / page).read_text(encoding="utf-8") == made, "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_in_a_code_block_exists(page):
    blocks = re.findall(
        r"```(?:sh|console|bash)?\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
    )
    root = click.Context(cli.cli, info_name="nibai")
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        words = line.removeprefix("$ ").split()
        if len(words) < 2 or words[0] != "nibai" or words[1].startswith(("-", "is")):
            continue
        command = cli.cli.get_command(root, words[1])
        assert command is not None, line
        rest = words[2:]
        if isinstance(command, click.Group) and rest:
            child = command.get_command(root, rest[0])
            command, rest = (child, rest[1:]) if child is not None else (command, rest)
        known = {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
        known |= {"--help", "-h"}
        for word in rest:
            if re.fullmatch(r"--?[a-z][a-z-]*", word):
                assert word in known, f"{line}: no option {word}"


def test_every_dependency_is_explained():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    decisions = (ROOT / "docs" / "decisions" / "dependencies.md").read_text(encoding="utf-8")
    extras = [d for group in project["optional-dependencies"].values() for d in group]
    for requirement in [*project["dependencies"], *extras]:
        name = re.match(r"[A-Za-z0-9-]+", requirement)[0]
        short = name.replace("opentelemetry", "")
        assert name in decisions or short in decisions, f"{name} is not in dependencies.md"


def test_constraints_name_no_address():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert not (ROOT / "uv.lock").exists()


def test_the_otlp_page_names_the_default_attributes_and_metrics():
    page = (ROOT / "docs" / "otlp.md").read_text(encoding="utf-8")
    for attributes in Naming().attributes.values():
        for attribute in attributes:
            assert f"`{attribute}`" in page, attribute
    current = [name for name in METRIC_NAMES if name.startswith(("gen_ai.", "http.server.request"))]
    for name in current:
        assert f"`{name}`" in page, name


def test_the_configuration_shown_is_valid(tmp_path):
    page = (ROOT / "docs" / "otlp.md").read_text(encoding="utf-8")
    example = tmp_path / "nibai.yaml"
    example.write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    assert load_config(example, {}).otlp.mapping.token_buckets == (128, 1024, 8192)


@pytest.mark.parametrize("page", ["data-capture", "bedrock", "neuron", "spans"])
def test_the_sources_shown_are_a_valid_configuration(page, tmp_path):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    example = tmp_path / "nibai.yaml"
    example.write_text(text.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    section = getattr(load_config(example, {}), page.replace("-", "_"))[0]
    assert section.source_name.startswith(page.replace("-", "_"))


def test_the_page_about_running_names_every_key_and_its_configuration_is_valid(tmp_path):
    page = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    example = tmp_path / "nibai.yaml"
    example.write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    config = load_config(example, {})
    for section in (config.schedule, config.web, config.telemetry):
        default = type(section)()
        for key in type(section).model_fields:
            assert f"  {key}: " in page, key
            if key not in {"token", "endpoint"}:
                assert getattr(section, key) == getattr(default, key), f"{key} is its default"
