"""k8s/examples bring what the manifests refer to, in shapes that the code reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from eros_cli import manifests
from eros_cli.paths import CHECKOUT
from tests.unit.platform.manifests import containers, needs_builder, overlay, settings_of

EXAMPLES = manifests.FOLDER / "examples"
BY_HAND = ("secrets.yaml", "public.yaml")
FROM_A_VAULT = ("external-secrets.yaml", "public.yaml")


def objects(*files: str) -> Iterator[dict[str, Any]]:
    for file in files:
        yield from yaml.safe_load_all((EXAMPLES / file).read_text("utf-8"))


def brought(*files: str) -> set[tuple[str, str]]:
    return {
        ("Secret" if one["kind"] == "ExternalSecret" else one["kind"], one["metadata"]["name"])
        for one in objects(*files)
    }


def needed(name: str) -> set[tuple[str, str]]:
    """Secrets and config maps that pods of an overlay refer to and the overlay does not bring."""
    found = set()
    for container in containers(name):
        for volume in container.pod["volumes"]:
            if "secret" in volume:
                found.add(("Secret", volume["secret"]["secretName"]))
            if "configMap" in volume:
                found.add(("ConfigMap", volume["configMap"]["name"]))
        for variable in container.spec.get("env", ()):
            if "valueFrom" in variable:
                found.add(("Secret", variable["valueFrom"]["secretKeyRef"]["name"]))
    own = {(one["kind"], one["metadata"]["name"]) for one in overlay(name)}
    return found - own


@needs_builder
@pytest.mark.parametrize("name", ["staging", "production"])
@pytest.mark.parametrize("files", [BY_HAND, FROM_A_VAULT])
def test_everything_that_pods_refer_to_is_brought_and_nothing_else(
    name: str, files: tuple[str, ...]
) -> None:
    assert brought(*files) == needed(name)


@needs_builder
def test_every_key_is_there() -> None:
    keys = {
        one["metadata"]["name"]: set(one.get("stringData") or one["data"])
        for one in objects(*BY_HAND)
    }
    for container in containers("production"):
        for variable in container.spec["env"]:
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                assert reference["key"] in keys[reference["name"]]
        # Files that settings name are where a mount has them.
        mounts = {m["mountPath"]: m["name"] for m in container.spec["volumeMounts"]}
        volumes = {v["name"]: v for v in container.pod["volumes"]}
        for variable, path in container.settings.items():
            if variable.endswith("_FILE"):
                folder, _, file = path.rpartition("/")
                volume = volumes[mounts[folder]]
                source = volume.get("secret", {}).get("secretName") or volume["configMap"]["name"]
                assert file in keys[source]


@needs_builder
def test_whoever_reads_an_address_has_the_certificate_that_it_names() -> None:
    """tests/integration/platform/test_stores_example.py uses these addresses."""
    addresses = {
        (one["metadata"]["name"], key): value
        for one in objects("secrets.yaml")
        for key, value in one["stringData"].items()
        if "://" in value
    }
    assert len(addresses) == 4
    seen = set()
    for container in containers("production"):
        mounts = {m["mountPath"]: m["name"] for m in container.spec["volumeMounts"]}
        volumes = {v["name"]: v for v in container.pod["volumes"]}
        for variable in container.spec["env"]:
            if (reference := variable.get("valueFrom", {}).get("secretKeyRef")) is None:
                continue
            url = addresses[reference["name"], reference["key"]]
            seen.add((reference["name"], reference["key"]))
            query = parse_qs(urlsplit(url).query)
            [path] = query.get("sslrootcert") or query["ssl_ca_certs"]
            folder, _, file = path.rpartition("/")
            [ca] = [c for c in objects("public.yaml") if c["metadata"]["name"] == "eros-stores-ca"]
            # Not there where stores speak no TLS.
            wanted = {"name": "eros-stores-ca", "optional": True}
            assert volumes[mounts[folder]]["configMap"] == wanted
            assert file in ca["data"]
    assert seen == addresses.keys()


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.name)
def test_kubernetes_takes_them(file: Any) -> None:
    assert manifests.refused(file.read_text("utf-8"), file.name) == []


def _pool(container: str) -> int:
    size: int = settings_of(container).model_fields["database_pool_size"].default
    return size


@needs_builder
def test_postgres_takes_as_many_connections_as_there_can_be() -> None:
    """Of all pods that the autoscalers may make, and one more of each while it is replaced."""
    a_pod = {
        **{name: _pool(name) for name in ("accounts", "matcher", "assistant")},
        "scheduler": 2 * _pool("scheduler"),
        # One for halts, two of the helpers that build a market, learn or publish.
        "worker": _pool("worker") + 1 + 2,
        "gateway": 1,
        "migrations": 1,
    }
    pods: dict[str, int] = {}
    for one in overlay("production"):
        name, spec = one["metadata"]["name"], one.get("spec", {})
        if one["kind"] == "Deployment":
            pods.setdefault(name, spec.get("replicas", 0))
        elif one["kind"] == "HorizontalPodAutoscaler":
            pods[name] = spec["maxReplicas"]
        elif one["kind"] == "ScaledObject":
            pods[spec["scaleTargetRef"]["name"]] = spec["maxReplicaCount"]
    who = {c.workload for c in containers("production") if "DATABASE_URL" in c.settings}
    assert {name.partition("-")[0] for name in who} == a_pod.keys()
    needed = sum((pods.get(name, 0) + 1) * count for name, count in a_pod.items())
    (cluster,) = [one for one in objects("postgres.yaml") if one["kind"] == "Cluster"]
    allowed = int(cluster["spec"]["postgresql"]["parameters"]["max_connections"])
    assert needed <= 0.95 * allowed
    stated = (CHECKOUT / "docs/scaling.md").read_text("utf-8")
    assert f"that is {needed - 1:,}:" in stated
