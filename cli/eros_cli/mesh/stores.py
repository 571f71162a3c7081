"""PostgreSQL and Valkey of a mesh: the embedded ones, or those that URLs name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eros_cli.embedded.postgres import Postgres
from eros_cli.embedded.valkey import Valkey
from eros_cli.mesh.addresses import Addresses
from eros_cli.mesh.data_dir import DataDir
from eros_cli.mesh.options import MeshOptions, Part

_REDIS_ROLES = ("ACTIVITY_REDIS_URL", "CACHE_REDIS_URL")


@dataclass(frozen=True, slots=True)
class Stores:
    """The embedded servers that are needed (None: not needed), and where all of them are."""

    postgres: Postgres | None
    valkey: Valkey | None
    settings: dict[str, str]

    def environment(self) -> dict[str, str]:
        """DATABASE_URL, REDIS_URL, ACTIVITY_REDIS_URL, CACHE_REDIS_URL, as far as there are any.

        Reads the embedded servers' passwords: call it after `prepare`.
        """
        urls = dict(self.settings)
        if self.postgres is not None:
            urls["DATABASE_URL"] = self.postgres.url
        if self.valkey is not None:
            urls["REDIS_URL"] = self.valkey.url
        if "REDIS_URL" in urls:
            for role in _REDIS_ROLES:
                urls.setdefault(role, urls["REDIS_URL"])
        return urls

    def prepare(self) -> None:
        """Create what the embedded servers need on disk; blocks. Raises MeshError."""
        for server in self.servers():
            server.prepare()

    def servers(self) -> list[Postgres | Valkey]:
        """The embedded servers."""
        return [server for server in (self.postgres, self.valkey) if server is not None]


def choose_stores(options: MeshOptions, data: DataDir, addresses: Addresses) -> Stores:
    """Embedded servers for what no variable names."""
    given = {
        name: url
        for name in ("DATABASE_URL", "REDIS_URL", *_REDIS_ROLES)
        if (url := options.environment.get(name))
    }
    needs_postgres = Part.POSTGRES in options.parts and "DATABASE_URL" not in given
    has_redis = "REDIS_URL" in given or all(role in given for role in _REDIS_ROLES)
    needs_valkey = Part.VALKEY in options.parts and not has_redis

    def password(name: str) -> Path:
        return data.keys / f"{name}-password"

    return Stores(
        postgres=Postgres(
            data.postgres,
            addresses.postgres_port,
            password("postgres"),
            options.durable,
            options.postgres,
        )
        if needs_postgres
        else None,
        valkey=Valkey(data.valkey, addresses.valkey_port, password("valkey"), options.durable)
        if needs_valkey
        else None,
        settings=given,
    )
