"""The deployed files as the programs that will read them judge them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.e2e

DEPLOY = Path(__file__).parents[2] / "deploy"


def run(program, *arguments, cwd=DEPLOY):
    """Output of a program that is content; skipped where it is not installed."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run(
        [program, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_prometheus_takes_the_configuration_and_the_rules():
    folder = DEPLOY / "prometheus"
    run("promtool", "check", "config", "--syntax-only", "prometheus.yml", cwd=folder)
    rules = (folder / "nibai-rules.yml").read_text(encoding="utf-8").count("- alert:")
    said = run("promtool", "check", "rules", "nibai-rules.yml", cwd=folder)
    assert f"{rules} rules found" in said


def test_each_rule_fires_when_it_should_and_not_before():
    run("promtool", "test", "rules", "nibai-rules.test.yml", cwd=DEPLOY / "prometheus")


def test_systemd_calls_the_unit_well_protected():
    text = run(
        "systemd-analyze", "security", "--offline=yes", str(DEPLOY / "systemd/nibai.service")
    )
    assert float(re.search(r"exposure level for nibai.service: ([\d.]+)", text)[1]) < 2.0


def test_systemd_knows_every_setting_of_the_unit(tmp_path):
    # What it starts is not installed here: an executable of the same name stands for it.
    unit = (DEPLOY / "systemd" / "nibai.service").read_text(encoding="utf-8")
    there = tmp_path / "nibai.service"
    there.write_text(unit.replace("/opt/nibai/bin/nibai", "/bin/true"), encoding="utf-8")
    assert "nibai.service" not in run("systemd-analyze", "verify", "--man=no", str(there))


def test_kubectl_builds_the_manifests():
    built = {
        one["kind"]: one for one in yaml.safe_load_all(run("kubectl", "kustomize", "kubernetes"))
    }
    assert len(built) == 5
    written = DEPLOY / "kubernetes" / "networkpolicy.yaml"
    assert built["NetworkPolicy"]["spec"] == yaml.safe_load(written.read_text())["spec"]
    labels = built["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert built["Service"]["spec"]["selector"] == labels


def test_terraform_finds_its_files_in_form():
    run("terraform", "fmt", "-check", "-diff", "terraform")
