"""What deploy/ names is there: commands, options, paths, ports, variables, secrets, families."""

import ast
import configparser
import json
import re
import shlex
from pathlib import Path

import click
import pytest
import yaml
from starlette.routing import Route

from collector.otlp import receiver as otlp
from nibai.cli import cli
from nibai.config import load_config
from nibai.server import Site, make_app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PORT = 4318


def text(*parts):
    return DEPLOY.joinpath(*parts).read_text(encoding="utf-8")


def kubernetes(name):
    return yaml.safe_load(text("kubernetes", name))


POD = kubernetes("statefulset.yaml")["spec"]["template"]["spec"]
COMPOSE = yaml.safe_load(text("compose", "compose.yaml"))["services"]


def unit():
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str
    parsed.read_string(text("systemd", "nibai.service"))
    return parsed["Service"]


def command_lines():
    """Every call of nibai: where it stands, and its arguments."""
    words = dict(re.findall(r"^(ENTRYPOINT|CMD) (.*)", text("Dockerfile"), re.MULTILINE))
    yield "Dockerfile", [*json.loads(words["ENTRYPOINT"]), *json.loads(words["CMD"])][1:]
    yield "systemd", shlex.split(unit()["ExecStart"])[1:]
    yield "kubernetes", POD["containers"][0]["args"]


@pytest.mark.parametrize("arguments", [found for _, found in command_lines()], ids=" ".join)
def test_commands_and_options_are_those_of_the_command_line(arguments):
    name, *options = arguments
    with click.Context(cli) as context:
        command = cli.get_command(context, name)
        assert command is not None, name
        known = {option for one in command.params for option in one.opts}
        assert {one for one in options if one.startswith("--")} <= known


def routes():
    site = Site(lambda _accept: ("", b""), lambda _path, _query: (200, ""))
    app = make_app([otlp.build({})], None, lambda: (True, {"status": "ok"}), max_body=1, site=site)
    return {route.path for route in app.routes if isinstance(route, Route)}


def test_paths_that_are_asked_are_routes():
    probed = {POD["containers"][0][name]["httpGet"]["path"] for name in
              ("startupProbe", "livenessProbe", "readinessProbe")}  # fmt: skip
    (check,) = [line for line in text("Dockerfile").splitlines() if "urlopen" in line]
    call = ast.parse(json.loads(check.partition("CMD ")[2])[-1])
    (address,) = [node.value for node in ast.walk(call)
                  if isinstance(node, ast.Constant) and isinstance(node.value, str)]  # fmt: skip
    assert address.startswith(f"http://127.0.0.1:{PORT}/")
    probed.add(address.partition(f":{PORT}")[2])
    (job,) = yaml.safe_load(text("prometheus", "prometheus.yml"))["scrape_configs"]
    probed.add(job.get("metrics_path", "/metrics"))
    assert probed == {"/healthz", "/readyz", "/metrics"}
    assert probed <= routes()


def test_every_port_is_the_one_that_is_listened_on():
    config = load_config(DEPLOY / "nibai.yaml", {})
    ports = {int(config.otlp.listen.rpartition(":")[2])}
    ports |= {one["containerPort"] for one in POD["containers"][0]["ports"]}
    ports |= {one["port"] for one in kubernetes("service.yaml")["spec"]["ports"]}
    policy = kubernetes("networkpolicy.yaml")["spec"]
    ports |= {one["port"] for rule in policy["ingress"] for one in rule["ports"]}
    ports |= {int(one.rpartition(":")[2]) for one in COMPOSE["nibai"]["ports"]}
    ports |= {int(port) for port in re.findall(r"^EXPOSE (\d+)", text("Dockerfile"), re.MULTILINE)}
    (job,) = yaml.safe_load(text("prometheus", "prometheus.yml"))["scrape_configs"]
    targets = [one for group in job["static_configs"] for one in group["targets"]]
    assert [target.partition(":")[0] for target in targets] == ["nibai"]
    ports |= {int(target.rpartition(":")[2]) for target in targets}
    assert ports == {PORT}


def test_the_service_and_the_probes_name_the_port_of_the_container():
    names = {one["name"] for one in POD["containers"][0]["ports"]}
    (port,) = kubernetes("service.yaml")["spec"]["ports"]
    probes = {one["httpGet"]["port"] for name, one in POD["containers"][0].items()
              if name.endswith("Probe")}  # fmt: skip
    assert {port["targetPort"], *probes} == names
    workload = kubernetes("statefulset.yaml")
    assert workload["spec"]["serviceName"] == kubernetes("service.yaml")["metadata"]["name"]
    assert POD["serviceAccountName"] == kubernetes("serviceaccount.yaml")["metadata"]["name"]


def test_kinds_and_versions_are_those_of_kubernetes():
    known = {
        "StatefulSet": "apps/v1", "Service": "v1", "ServiceAccount": "v1",
        "NetworkPolicy": "networking.k8s.io/v1", "Kustomization": "kustomize.config.k8s.io/v1beta1",
    }  # fmt: skip
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        if path.name != "nibai.yaml":
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
            assert document["apiVersion"] == known[document["kind"]], path.name


def test_configuration_secrets_and_data_are_where_nibai_looks_for_them():
    config = load_config(DEPLOY / "nibai.yaml", {})
    mounts = {one["name"]: one["mountPath"] for one in POD["containers"][0]["volumeMounts"]}
    wanted = {config.otlp.token, config.web.token}
    keys = re.search(r"create secret generic (\S+) (.*)", text("kubernetes", "kustomization.yaml"))
    files = re.findall(r"--from-file=(\w+)", keys[2])
    assert {f"file:{mounts['tokens']}/{name}" for name in files} == wanted
    volumes = {one["name"]: one for one in POD["volumes"]}
    assert volumes["tokens"]["secret"]["secretName"] == keys[1]
    (generated,) = kubernetes("kustomization.yaml")["configMapGenerator"]
    assert volumes["config"]["configMap"]["name"] == generated["name"]
    arguments = POD["containers"][0]["args"]
    settings = arguments[arguments.index("--config") + 1]
    assert settings == f"{mounts['config']}/{generated['files'][0]}"
    assert any(one.split(":")[1] == settings for one in COMPOSE["nibai"]["volumes"])
    data = mounts["data"]
    assert f"NIBAI_DATA_DIR={data}" in text("Dockerfile")
    assert unit()["Environment"] == f"NIBAI_DATA_DIR={data}"
    assert load_config(DEPLOY / "nibai.yaml", {"NIBAI_DATA_DIR": data}).data == Path(data)


def test_variables_of_the_environment_are_read_somewhere():
    deployed = [path.read_text(encoding="utf-8") for path in DEPLOY.rglob("*") if path.is_file()]
    named = {word for one in deployed for word in re.findall(r"NIBAI_[A-Z_]+", one)}
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "nibai").rglob("*.py"))
    assert {word for word in named if word not in sources} == set()
