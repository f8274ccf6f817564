"""What stands in deploy/ is valid, names only what exists, and carries a policy that loads."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import promql_parser
import pytest
import yaml

from proxy.metrics import Metrics
from proxy.policy.load import parse
from proxy.settings import environment_name, leaves

DEPLOY = Path(__file__).parents[2] / "deploy"
ENVIRONMENT = {environment_name(path) for path in leaves()} | {"EXCISE_CONFIG"}
KUBERNETES = list(yaml.safe_load_all((DEPLOY / "kubernetes/sidecar.yaml").read_text("utf-8")))
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
ALERTS = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text("utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]


def of_kind(kind: str) -> Any:
    (found,) = (one for one in KUBERNETES if one["kind"] == kind)
    return found


def sidecar() -> Any:
    containers = of_kind("Deployment")["spec"]["template"]["spec"]["containers"]
    return next(one for one in containers if one["name"] == "excise")


@pytest.mark.parametrize("manifest", KUBERNETES, ids=lambda one: one["kind"])
def test_kubernetes_accepts_each_manifest(manifest: Any) -> None:
    kubernetes_validate.validate(manifest, "1.31", strict=True)


def test_the_validator_would_find_a_mistake() -> None:
    broken = {**of_kind("Service"), "spec": {"portz": []}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.31", strict=True)


def test_the_policy_of_the_config_map_loads() -> None:
    policy = parse(of_kind("ConfigMap")["data"]["policy.yaml"], "policy.yaml")
    assert policy.mode == "shadow"
    assert policy.rules


def test_the_model_listens_on_loopback_and_excise_in_front_of_it() -> None:
    environ = {one["name"]: one["value"] for one in sidecar()["env"]}
    assert environ.keys() <= ENVIRONMENT
    containers = of_kind("Deployment")["spec"]["template"]["spec"]["containers"]
    model = next(one for one in containers if one["name"] == "model")
    arguments = dict(zip(model["args"][::2], model["args"][1::2], strict=True))
    assert environ["EXCISE_UPSTREAM"] == f"http://{arguments['--host']}:{arguments['--port']}"
    assert arguments["--host"] == "127.0.0.1"
    ports = {one["name"]: one["containerPort"] for one in sidecar()["ports"]}
    assert environ["EXCISE_LISTEN"].endswith(f":{ports['http']}")
    assert environ["EXCISE_HEALTH_LISTEN"].endswith(f":{ports['health']}")
    assert sidecar()["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    assert sidecar()["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}


def test_the_sidecar_may_do_little() -> None:
    assert sidecar()["securityContext"] == {
        "runAsUser": 65534,
        "runAsGroup": 65534,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_what_is_mounted_is_what_is_named() -> None:
    environ = {one["name"]: one["value"] for one in sidecar()["env"]}
    mounts = {one["name"]: one["mountPath"] for one in sidecar()["volumeMounts"]}
    keys = of_kind("ConfigMap")["data"]
    policy = Path(environ["EXCISE_POLICY"])
    assert (str(policy.parent), policy.name in keys) == (mounts["policy"], True)
    assert str(Path(environ["EXCISE_SECRET_FILE"]).parent) == mounts["secret"]


def test_compose_names_settings_and_a_redis_that_forgets_nothing() -> None:
    excise, redis = COMPOSE["services"]["excise"], COMPOSE["services"]["redis"]
    assert excise["environment"].keys() <= ENVIRONMENT
    assert "noeviction" in redis["command"]
    policy = excise["environment"]["EXCISE_POLICY"]
    (source, target, _) = excise["volumes"][0].split(":")
    assert (DEPLOY / source / Path(policy).relative_to(target)).exists()
    assert (DEPLOY / excise["build"] / "Dockerfile").exists()


def test_alerts_ask_for_metrics_that_exist() -> None:
    known = set()
    for family, _ in Metrics().families():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
        known |= {f"{family.name}{suffix}" for suffix in suffixes.get(family.type, [""])}
    assert len(RULES) >= 8
    for rule in RULES:
        promql_parser.parse(rule["expr"])
        named = set(re.findall(r"\bexcise_[a-z_]+", rule["expr"]))
        assert named, rule["alert"]
        assert named <= known, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description"}


def test_promtool_agrees_where_it_is_at_hand() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on PATH; the expressions are parsed by the test before")
    for arguments in (("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml")):
        subprocess.run([promtool, *arguments], cwd=DEPLOY / "prometheus", check=True, timeout=60)


def test_the_unit_runs_the_command_and_gives_streams_their_time() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((DEPLOY / "systemd/excise.service").read_text("utf-8"))
    service = unit["Service"]
    assert service["ExecStart"].split()[:3] == ["/opt/excise/bin/excise", "serve", "--config"]
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert int(service["TimeoutStopSec"]) > 30
    assert service["DynamicUser"] == "yes"
