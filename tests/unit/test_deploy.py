"""What is deployed is pinned, not root, read-only, with tokens from outside."""

import configparser
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from dashboards.grafana.lint.promql import read
from dashboards.grafana.lint.rule_registered import exported
from nibai.config import load_config

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FILES = [
    path for path in sorted(DEPLOY.rglob("*")) if path.is_file() and "secrets" not in path.parts
]
KUBERNETES = DEPLOY / "kubernetes"
COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8"))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+\.\d+[\w.-]*")
POLICY = (DEPLOY / "iam" / "nibai-read.json").read_text(encoding="utf-8")


def kubernetes(name):
    return yaml.safe_load((KUBERNETES / name).read_text(encoding="utf-8"))


def lines(text):
    """Instructions of a Dockerfile, continued lines joined."""
    joined = text.replace("\\\n", " ")
    return [line.split(None, 1) for line in joined.splitlines() if re.match(r"[A-Z]+ ", line)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_file_is_well_formed_and_names_no_latest_and_no_secret(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix in {".yaml", ".yml"}:
        assert list(yaml.safe_load_all(text))
    if path.suffix == ".json":
        assert json.loads(text)
    assert ":latest" not in text
    assert not re.search(r"AKIA[0-9A-Z]{16}|xox[bp]-|glsa_|BEGIN [A-Z ]*PRIVATE KEY", text)


def test_images_are_pinned():
    bases = [rest.split()[0] for word, rest in lines(DOCKERFILE) if word == "FROM"]
    images = [service["image"] for service in COMPOSE["services"].values()]
    pod = kubernetes("statefulset.yaml")["spec"]["template"]["spec"]
    images += [one["image"] for one in pod["containers"]]
    for image in [*bases, *images]:
        assert PINNED.fullmatch(image), image


def test_the_image_holds_the_packages_and_runs_as_nobody():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {*project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]}
    copied = {
        rest.split()[0]
        for word, rest in lines(DOCKERFILE)
        if word == "COPY" and len(rest.split()) == 2
    }
    assert copied == packages
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    assert {line[1:] for line in ignored.splitlines() if line.startswith("!")} >= packages
    last = dict(lines(DOCKERFILE))
    assert last["USER"] == "65532:65532"
    assert "/healthz" in last["HEALTHCHECK"]
    assert json.loads(last["ENTRYPOINT"]) + json.loads(last["CMD"]) == [
        "nibai", "run", "--config", "/etc/nibai/nibai.yaml",
    ]  # fmt: skip
    version = project["project"]["version"]
    assert COMPOSE["services"]["nibai"]["image"] == f"nibai:{version}"


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_a_service_has_a_read_only_root_and_no_privileges(name):
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    for volume in service["volumes"]:
        source = volume.split(":")[0]
        if source.startswith("."):
            assert (DEPLOY / "compose" / source).resolve().exists(), volume
            assert volume.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]
    for secret in service.get("secrets", []):
        assert (secret if isinstance(secret, str) else secret["source"]) in COMPOSE["secrets"]


def test_secrets_of_compose_stay_out_of_the_repository():
    ignored = (DEPLOY / "compose" / ".gitignore").read_text(encoding="utf-8").split()
    assert ignored == ["secrets/"]
    assert all(one["file"].startswith("./secrets/") for one in COMPOSE["secrets"].values())


def test_grafana_finds_its_source_and_the_dashboards():
    folder = DEPLOY / "compose" / "grafana"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text())[
        "datasources"
    ]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    (provider,) = yaml.safe_load((folder / "dashboards" / "nibai.yaml").read_text())["providers"]
    mounts = {
        volume.split(":")[1]: volume.split(":")[0]
        for volume in COMPOSE["services"]["grafana"]["volumes"]
    }
    mounted = (DEPLOY / "compose" / mounts[provider["options"]["path"]]).resolve()
    assert mounted == ROOT / "dashboards" / "json"


def test_the_configuration_is_one_that_nibai_takes():
    config = load_config(DEPLOY / "nibai.yaml", {})
    assert config.otlp.listen == "0.0.0.0:4318"
    assert (DEPLOY / "nibai.yaml").read_text() == (KUBERNETES / "nibai.yaml").read_text()
    targets = {one["target"] for one in COMPOSE["services"]["nibai"]["secrets"]}
    assert {f"file:{target}" for target in targets} == {config.otlp.token, config.web.token}


def test_a_pod_is_the_one_writer_of_its_volume_and_may_do_nothing_else():
    workload = kubernetes("statefulset.yaml")
    pod = workload["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert workload["kind"] == "StatefulSet"
    assert workload["spec"]["replicas"] == 1
    (claim,) = workload["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    paths = {
        probe: container[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {
        "startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz",
    }  # fmt: skip
    alive = container["livenessProbe"]
    assert alive["periodSeconds"] * alive["failureThreshold"] >= 600, "outages of the state pass"
    volumes = {volume["name"] for volume in pod["volumes"]} | {claim["metadata"]["name"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    assert "limits" in container["resources"]


def test_the_cluster_lets_in_who_is_named_and_holds_no_token_of_ours():
    policy = kubernetes("networkpolicy.yaml")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert all(rule["from"] for rule in policy["ingress"])
    assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == {4318}
    kustomization = kubernetes("kustomization.yaml")
    assert not any(one.get("includeSelectors") for one in kustomization["labels"]), (
        "peers keep names"
    )
    pod = kubernetes("statefulset.yaml")["spec"]
    assert (
        policy["podSelector"]
        == pod["selector"]
        == {"matchLabels": pod["template"]["metadata"]["labels"]}
    )
    assert kubernetes("service.yaml")["spec"]["selector"] == pod["template"]["metadata"]["labels"]
    listed = kustomization["resources"]
    assert {*listed} == {path.name for path in KUBERNETES.glob("*.yaml")} - {
        "kustomization.yaml",
        "nibai.yaml",
    }
    assert all(kubernetes(name)["kind"] != "Secret" for name in listed)


HARDENED = {
    "DynamicUser": "yes", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "",
    "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes",
    "ProtectKernelTunables": "yes", "ProtectKernelModules": "yes", "ProtectControlGroups": "yes",
    "RestrictNamespaces": "yes", "LockPersonality": "yes", "SystemCallArchitectures": "native",
    "UMask": "0077", "SuccessExitStatus": "143", "RestartPreventExitStatus": "2 4",
}  # fmt: skip


def test_the_unit_is_hardened_and_stops_gracefully():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(DEPLOY / "systemd" / "nibai.service", encoding="utf-8")
    service = dict(unit["Service"])
    assert {key: service.get(key) for key in HARDENED} == HARDENED
    assert shlex.split(service["ExecStart"])[1:] == ["run", "--config", "/etc/nibai/nibai.yaml"]


def test_rules_and_their_tests_ask_for_what_is_exported():
    rules = yaml.safe_load((DEPLOY / "prometheus" / "nibai-rules.yml").read_text())
    (job,) = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())[
        "scrape_configs"
    ]
    names = []
    for rule in (one for group in rules["groups"] for one in group["rules"]):
        names.append(rule["alert"])
        for selector in read(rule["expr"]).selectors:
            if selector.name == "up":  # Prometheus' own, of the job that scrapes nibai
                assert rule["expr"] == f'up{{job="{job["job_name"]}"}} == 0'
                continue
            family = exported(selector.name)
            assert family is not None, selector.name
            assert {*selector.labels} <= {*family.labels}
    tested = (DEPLOY / "prometheus" / "nibai-rules.test.yml").read_text()
    assert [name for name in names if name not in tested] == []


def test_prometheus_scrapes_with_the_token_of_readers():
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    mounted = COMPOSE["services"]["prometheus"]["secrets"][0]["target"]
    assert job["authorization"]["credentials_file"] == mounted
    command = COMPOSE["services"]["prometheus"]["command"]
    assert "--enable-feature=native-histograms" in command


def test_terraform_gives_the_policy_and_the_events_of_the_other_files():
    main = (DEPLOY / "terraform" / "main.tf").read_text(encoding="utf-8")
    assert "../iam/nibai-read.json" in main
    filled = re.findall(r"^    ([A-Z_]+) += \S+$", main, re.MULTILINE)
    assert {*filled} == {*re.findall(r"[A-Z_]{4,}", POLICY)}
    events = (DEPLOY / "terraform" / "events.tf").read_text(encoding="utf-8")
    template = (DEPLOY / "aws" / "nibai-events.yaml").read_text(encoding="utf-8")
    pattern = yaml.safe_load(template)["Resources"]["Rule"]["Properties"]["EventPattern"]
    for word in [*pattern["source"], *pattern["detail-type"]]:
        assert f'"{word}"' in events


def test_the_page_says_what_each_folder_is_and_what_was_not_run():
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    for folder in sorted(path.name for path in DEPLOY.iterdir() if path.is_dir()):
        assert f"deploy/{folder}" in page, folder
    assert "not run" in page
