"""Addresses of a Valkey Cluster, in settings and in the client."""

from __future__ import annotations

from typing import Any

import pytest

from eros_common import config
from eros_common.config import RedisSettings, SettingsFault
from eros_common.redis_cluster import cluster_nodes


@pytest.mark.parametrize(
    ("url", "nodes"),
    [
        ("redis+cluster://a:7000,b:7001", [("a", 7000), ("b", 7001)]),
        ("redis+cluster://a", [("a", 6379)]),
        ("redis+cluster://a:7000/0", [("a", 7000)]),
        ("redis+cluster://[::1]:7000,[::2]", [("::1", 7000), ("::2", 6379)]),
    ],
)
def test_nodes_of_a_cluster(url: str, nodes: list[tuple[str, int]]) -> None:
    found = cluster_nodes(url)
    assert [(node.host, node.port) for node in found["startup_nodes"]] == nodes
    assert (found["username"], found["password"], found["ssl"]) == (None, None, False)


def test_who_signs_in_and_how() -> None:
    found = cluster_nodes("rediss+cluster://eros:a%20b%40c@x:1")
    assert (found["username"], found["password"], found["ssl"]) == ("eros", "a b@c", True)
    assert found["ssl_ca_certs"] is None
    found = cluster_nodes("rediss+cluster://:p@x:1,y?ssl_ca_certs=/run/ca.crt")
    assert [node.host for node in found["startup_nodes"]] == ["x", "y"]
    assert found["ssl_ca_certs"] == "/run/ca.crt"


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://",
        "redis+cluster://a:0",
        "redis+cluster://a:x,b",
        "redis+cluster://a,,b",
        "redis+cluster://a/1",
        "redis+cluster://a?db=1",
        "redis+cluster://a?ssl_ca_certs=/ca.crt",
        "rediss+cluster://a?ssl_ca_certs=/ca.crt&db=1",
        "valkey+cluster://a",
    ],
)
def test_what_is_no_address_is_refused_by_name_without_its_secret(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values: dict[str, Any] = {"ACTIVITY_REDIS_URL": url.replace("://", "://:secret@", 1)}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsFault) as refused:
        config.read(RedisSettings)
    assert "ACTIVITY_REDIS_URL" in str(refused.value)
    assert "secret" not in str(refused.value)
