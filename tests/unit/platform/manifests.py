"""The Kubernetes manifests as tests read them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import pytest
from pydantic_settings import BaseSettings

from eros_cli import manifests

needs_builder = pytest.mark.skipif(
    manifests.builder() is None, reason="neither kustomize nor kubectl is on PATH"
)

#: Container -> where its settings are: module and class.
_SETTINGS = {
    "accounts": ("eros_accounts.config", "AccountsSettings"),
    "activity": ("eros_activity.config", "ActivitySettings"),
    "scheduler": ("eros_scheduler.config", "SchedulerSettings"),
    "matcher": ("eros_matcher.config", "MatcherSettings"),
    "worker": ("eros_matcher.worker.config", "WorkerSettings"),
    "assistant": ("eros_assistant.config", "AssistantSettings"),
    "envoy": ("eros_gateway.config", "GatewaySettings"),
    "front": ("eros_gateway.front.config", "FrontSettings"),
}
CONTAINERS = tuple(_SETTINGS)


@cache
def overlay(name: str) -> list[dict[str, Any]]:
    return manifests.documents(f"overlays/{name}")


def settings_of(container: str) -> type[BaseSettings]:
    module, name = _SETTINGS[container]
    found: type[BaseSettings] = getattr(import_module(module), name)
    return found


@dataclass(frozen=True, slots=True)
class Container:
    workload: str
    pod: dict[str, Any]
    spec: dict[str, Any]
    settings: dict[str, str]

    @property
    def name(self) -> str:
        return str(self.spec["name"])


def containers(name: str) -> Iterator[Container]:
    """All containers of our own in an overlay; secrets read as `secret:KEY`."""
    documents = overlay(name)
    maps = {d["metadata"]["name"]: d["data"] for d in documents if d["kind"] == "ConfigMap"}
    for document in documents:
        if document["kind"] not in ("Deployment", "Job"):
            continue
        pod = document["spec"]["template"]["spec"]
        for spec in pod["containers"]:
            settings: dict[str, str] = {}
            for source in spec.get("envFrom", ()):
                settings |= maps[source["configMapRef"]["name"]]
            for variable in spec.get("env", ()):
                secret = variable.get("valueFrom", {}).get("secretKeyRef")
                value = f"secret:{secret['key']}" if secret else variable["value"]
                settings[variable["name"]] = value
            yield Container(document["metadata"]["name"], pod, spec, settings)
