"""The manifests against the code: settings, ports, commands, and what every pod must be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from eros_accounts.config import AccountsSettings
from eros_cli import manifests
from eros_cli.paths import CHECKOUT
from eros_common import config
from eros_common.config import MatchesSettings, PhaseSettings, WindowSettings, variable_of
from eros_gateway.config import GatewaySettings
from tests.unit.platform.manifests import (
    CONTAINERS,
    Container,
    containers,
    needs_builder,
    overlay,
    settings_of,
)

OVERLAYS = manifests.OVERLAYS
SECRETS = {
    "secret:DATABASE_URL": "postgresql://eros:secret@db/eros",
    "secret:ACTIVITY_REDIS_URL": "rediss://activity:6379/0",
    "secret:CACHE_REDIS_URL": "rediss://cache:6379/0",
}
pytestmark = needs_builder


def variables_of(container: str) -> set[str]:
    """All that its program reads of the environment."""
    if container == "migrations":
        source = (CHECKOUT / "cli/eros_cli/mesh/migrations.py").read_text()
        return set(re.findall(r"os\.environ\.get\(\"(\w+)\"", source))
    cls = settings_of(container)
    return {variable_of(cls, field) for field in cls.model_fields}


def of(name: str, overlay_name: str = "production") -> Container:
    return next(c for c in containers(overlay_name) if c.name == name)


def objects(kind: str, overlay_name: str = "production") -> dict[str, dict[str, Any]]:
    return {d["metadata"]["name"]: d for d in overlay(overlay_name) if d["kind"] == kind}


@pytest.mark.parametrize("name", OVERLAYS)
def test_each_variable_is_a_setting_of_its_program(name: str) -> None:
    for container in containers(name):
        own = {variable["name"] for variable in container.spec["env"]}
        wrong = own - variables_of(container.name)
        assert not wrong, f"{wrong} are no settings of {container.name}"


@pytest.mark.parametrize("name", OVERLAYS)
def test_each_shared_variable_is_a_setting_of_somebody(name: str) -> None:
    """Patches of an overlay included."""
    known = set().union(*(variables_of(container) for container in CONTAINERS))
    shared = objects("ConfigMap", name)["eros-settings"]["data"].keys()
    assert not shared - known


@pytest.mark.parametrize("name", OVERLAYS)
def test_each_setting_is_in_a_manifest_or_left_at_its_default_on_purpose(name: str) -> None:
    left = set((Path(__file__).parent / "left_at_default.txt").read_text().split())
    known = set[str]()
    for container in containers(name):
        variables = variables_of(container.name)
        known |= variables
        undecided = variables - container.settings.keys() - left
        assert not undecided, f"{container.name}: into a manifest or left_at_default.txt"
    assert not left - known, "no settings of anybody"


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_services_must_agree_on_is_said_once(name: str) -> None:
    shared = objects("ConfigMap", name)["eros-settings"]["data"]
    agreed = {
        variable_of(cls, field)
        for cls in (WindowSettings, PhaseSettings, MatchesSettings)
        for field in cls.model_fields
    }
    agreed |= {f"EROS_CPU_CAP_PHASE{phase}" for phase in (1, 2, 3)}
    agreed.add("EROS_HEARTBEAT_INTERVAL_SECONDS")
    assert not agreed - shared.keys()
    for container in containers(name):
        own = {variable["name"] for variable in container.spec["env"]}
        assert not own & agreed, container.name
        if container.name == "migrations":
            continue
        cls = settings_of(container.name)
        for field, info in cls.model_fields.items():
            if (variable := variable_of(cls, field)) in agreed:
                kind: Any = info.annotation
                told = TypeAdapter(kind).validate_python(shared[variable])
                assert told == info.default, variable


@pytest.mark.parametrize("overlay_name", OVERLAYS)
@pytest.mark.parametrize("name", CONTAINERS)
def test_its_program_accepts_the_settings(
    name: str, overlay_name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All that are needed are there, and every value is one that the program takes."""
    cls = settings_of(name)
    for field in cls.model_fields:
        monkeypatch.delenv(variable_of(cls, field), raising=False)
    for variable, value in of(name, overlay_name).settings.items():
        monkeypatch.setenv(variable, SECRETS.get(value, value))
    monkeypatch.chdir(tmp_path)
    config.read(cls)


@pytest.mark.parametrize("name", CONTAINERS)
def test_documentation_names_every_setting(name: str) -> None:
    cls = settings_of(name)
    text = (CHECKOUT / "docs" / "settings.md").read_text()
    missing = {
        variable
        for field in cls.model_fields
        if f"`{(variable := variable_of(cls, field))}`" not in text
    }
    assert not missing, "python -m eros_cli.settings_table writes the table anew"


@pytest.mark.parametrize("name", [c for c in CONTAINERS if c != "envoy"])
def test_ports_and_probes_are_where_the_program_listens(name: str) -> None:
    container = of(name)
    listens = int(container.settings["EROS_LISTEN"].rpartition(":")[2])
    ports = {port["name"]: port["containerPort"] for port in container.spec["ports"]}
    assert ports["grpc"] == listens
    assert ports["metrics"] == int(container.settings["EROS_METRICS_LISTEN"].rpartition(":")[2])
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container.spec[probe]["grpc"]["port"] == listens
    if name == "activity":
        assert container.settings["EROS_ALS_LISTEN"] == f"0.0.0.0:{ports['als']}"
    assert ("reads" in ports) == (name in ("accounts", "matcher"))
    if "reads" in ports:
        assert container.settings["EROS_READS_LISTEN"] == f"0.0.0.0:{ports['reads']}"


def test_envoy_is_asked_where_it_answers_and_only_by_who_should() -> None:
    container = of("envoy")
    ports = {port["name"]: port["containerPort"] for port in container.spec["ports"]}
    assert container.settings["EROS_GATEWAY_LISTEN"] == f"0.0.0.0:{ports['http']}"
    inside = ports["envoy-metrics"]
    assert container.settings["EROS_GATEWAY_METRICS_LISTEN"] == f"0.0.0.0:{inside}"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container.spec[probe]["httpGet"]
        assert asked == {"path": "/ready", "port": "envoy-metrics"}
    (monitor,) = objects("PodMonitor").values()
    assert {one["port"] for one in monitor["spec"]["podMetricsEndpoints"]} == {
        "metrics",
        "envoy-metrics",
    }
    # Neither the Service nor a rule without a sender leads there.
    (service,) = [s for n, s in objects("Service").items() if n == "gateway"]
    assert all(port.get("targetPort") != "envoy-metrics" for port in service["spec"]["ports"])
    for policy in objects("NetworkPolicy").values():
        for rule in policy["spec"].get("ingress", ()):
            if inside in {port["port"] for port in rule.get("ports", ())}:
                assert rule["from"] == [
                    {
                        "namespaceSelector": {
                            "matchLabels": {"kubernetes.io/metadata.name": "monitoring"}
                        }
                    }
                ]


def test_ports_are_those_at_which_programs_look_by_default() -> None:
    listens = {c.name: c.settings.get("EROS_LISTEN", "") for c in containers("production")}
    services = ("accounts", "activity", "scheduler", "matcher", "assistant", "gateway")
    for service in services:
        default: str = GatewaySettings.model_fields[f"{service}_address"].default
        name = "front" if service == "gateway" else service
        assert listens[name] == f"0.0.0.0:{default.rpartition(':')[2]}"


def test_addresses_lead_to_a_service_with_that_port() -> None:
    services = objects("Service")
    for variable, target in of("front").settings.items():
        if variable.endswith("_ADDRESS"):
            name, _, port = target.removeprefix("dns:///").partition(":")
            service = services[name]
            # Headless, so that round_robin sees every pod.
            assert service["spec"]["clusterIP"] == "None"
            assert int(port) in {p["port"] for p in service["spec"]["ports"]}


def test_commands_are_the_modules_of_the_images() -> None:
    for container in containers("production"):
        python, flag, module = container.spec["command"]
        assert (python, flag) == ("python", "-m")
        image = container.spec["image"].split("@")[0].rsplit("/", 1)[1]
        stage = (CHECKOUT / "Dockerfile").read_text().partition(f" AS {image}\n")[2]
        stage = stage.partition("\nFROM ")[0]
        package = module.split(".")[0]
        assert re.search(rf"^COPY .*{package}", stage, re.MULTILINE), f"{image} has no {package}"


def test_no_manifest_says_otherwise_than_its_image() -> None:
    """The image has its kernels, its trained head and its paths; a variable would hide them."""
    said = set(re.findall(r"(?<=[\s])([A-Z_]+)=", "".join(_image_environment())))
    assert {"EROS_ASSISTANT_HEAD_DIR", "PYTHONPATH"} <= said
    for container in containers("production"):
        assert not said & container.settings.keys(), container.name


def _image_environment() -> list[str]:
    return re.findall(r"^ENV( .+)$", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE)


def test_the_first_two_steps_of_an_installation_stand_alone() -> None:
    """What the migrations' pod refers to is applied before it, by label and by Argo CD's waves."""
    (job,) = objects("Job").values()
    pod = job["spec"]["template"]["spec"]
    needed = (
        *(("Namespace", "eros"), ("ServiceAccount", pod["serviceAccountName"])),
        ("PriorityClass", pod["priorityClassName"]),
    )
    wave = "argocd.argoproj.io/sync-wave"
    for kind, name in needed:
        found = objects(kind)[name]["metadata"]
        assert found["labels"]["app.kubernetes.io/name"] == "shared"
        assert int(found["annotations"][wave]) < int(job["metadata"]["annotations"][wave]) < 0


def test_a_release_has_a_job_of_its_own() -> None:
    (job,) = objects("Job")
    assert re.fullmatch(r"migrations-[0-9a-f]{12}", job)


def test_a_laptop_has_room() -> None:
    """Two cores and 4 GiB, of which the cluster itself takes some."""
    cores = memory = 0.0
    for document in overlay("local"):
        if document["kind"] in ("Deployment", "StatefulSet"):
            for container in document["spec"]["template"]["spec"]["containers"]:
                asked = container["resources"]["requests"]
                cores += document["spec"].get("replicas", 1) * float(asked["cpu"].rstrip("m")) / 1e3
                memory += int(asked["memory"].removesuffix("Mi"))
    assert cores < 1.0
    assert memory < 2560


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_pod_is_restricted(name: str) -> None:
    for container in containers(name):
        pod, spec = container.pod, container.spec
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= spec["resources"]["limits"].keys()
    [namespace] = objects("Namespace", name).values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("name", ["staging", "production"])
def test_runbooks_are_where_the_overlay_says(name: str) -> None:
    (rules,) = objects("PrometheusRule", name).values()
    text = (manifests.FOLDER / f"overlays/{name}/kustomization.yaml").read_text("utf-8")
    host = re.findall(r"RUNBOOK_HOST=(\S+)", text)
    urls = [
        rule["annotations"]["runbook_url"]
        for group in rules["spec"]["groups"]
        for rule in group["rules"]
    ]
    assert urls
    assert {url.split("/")[2] for url in urls} == set(host)
    # It configures the build and is no object of the cluster.
    assert "eros-operations" not in objects("ConfigMap", name)


def test_production_runs_images_by_digest() -> None:
    for container in containers("production"):
        assert re.search(r"@sha256:[0-9a-f]{64}$", container.spec["image"]), container.spec["image"]


@pytest.mark.parametrize("name", ["activity", "scheduler"])
def test_what_a_halt_passes_through_is_guaranteed(name: str) -> None:
    resources = of(name).spec["resources"]
    for what in ("cpu", "memory"):
        assert resources["requests"][what] == resources["limits"][what]
    assert len([c for c in containers("production") if c.workload == name]) == 1


def test_there_is_time_to_stop() -> None:
    for container in containers("production"):
        if container.name == "migrations":
            continue
        grace = container.pod["terminationGracePeriodSeconds"]
        waits = container.spec.get("lifecycle", {}).get("preStop", {}).get("sleep", {})
        stop = float(container.settings["EROS_STOP_GRACE_SECONDS"])
        # The drain may take the grace, and then the running calls may.
        assert waits.get("seconds", 0) + 2 * stop <= grace, container.name


def test_disruptions_take_one_at_a_time() -> None:
    budgets = objects("PodDisruptionBudget")
    for name, deployment in objects("Deployment").items():
        assert budgets[name]["spec"]["maxUnavailable"] == 1
        keys = [
            c["topologyKey"]
            for c in deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
        ]
        assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]


def test_workers_give_way_and_follow_the_jobs() -> None:
    classes = objects("PriorityClass")
    worker = of("worker").pod["priorityClassName"]
    assert classes[worker]["value"] < 0 < classes[of("activity").pod["priorityClassName"]]["value"]
    [scaled] = objects("ScaledObject").values()
    assert scaled["spec"]["minReplicaCount"] == 0
    assert "eros_scheduler_jobs_ready" in scaled["spec"]["triggers"][0]["metadata"]["query"]
    # Nobody else says how many there are.
    for name in ("worker", *objects("HorizontalPodAutoscaler")):
        replicas = objects("Deployment")[name]["spec"].get("replicas")
        assert replicas is None or name in ("activity", "scheduler")


@pytest.mark.parametrize("name", ["staging", "production"])
def test_gateways_are_taken_away_seldom_and_many_at_a_time(name: str) -> None:
    """Whenever some end, everybody's work rests for a minute (ADR 0202)."""
    down = objects("HorizontalPodAutoscaler", name)["gateway"]["spec"]["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] == 3600  # the most that there is
    [policy] = down["policies"]
    assert policy["type"] == "Percent"
    assert policy["value"] >= 50
    assert policy["periodSeconds"] == 1800


def test_an_unknown_field_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        manifests, "build", lambda _: "apiVersion: v1\nkind: Service\nspec: {clusterIp: None}\n"
    )
    assert manifests.validate("overlays/local")


def test_passwords_are_hashed_within_what_accounts_may_take() -> None:
    """Whatever the cores of the node."""
    accounts = of("accounts")
    threads = int(accounts.settings["EROS_HASH_THREADS"])
    limits = accounts.spec["resources"]["limits"]
    assert threads < int(limits["cpu"]), "one is left to answer"
    memory = AccountsSettings.model_fields["hash_memory_kib"].default / 1024
    assert threads * memory < 0.25 * int(limits["memory"].removesuffix("Mi"))
