"""PostgreSQL from its wheel: one cluster in the data directory, on the loopback interface only.

PostgreSQL refuses to run as root. As root it is therefore run as `nobody`, who owns the cluster's
directory and nothing else; no account is made and no permission outside the data directory changes.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from eros_cli.embedded.postgres_binaries import account_to_run_as, binary, require_reachable
from eros_cli.embedded.secret import read_or_make_secret
from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.program import Account, Program

_POLL_SECONDS = 0.02

USER = "eros"
DATABASE = "eros"

#: For a developer's machine; durability is never traded away unless `durable` is off.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "random_page_cost": "1.1",
    "jit": "off",
    # One query, one core: the others belong to the night's work.
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_duration_statement": "1000",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class Postgres:
    """A cluster under `directory`, listening on `port`; call `prepare` before `program`."""

    directory: Path
    port: int
    password_file: Path
    durable: bool = True
    #: What takes the place of ours, by the names of postgresql.conf.
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        password = self.password_file.read_text()
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        """Create the cluster if there is none. Blocks for about a second then.

        Raises MeshError where the account that runs it cannot reach it, or initdb fails.
        """
        account = account_to_run_as()
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        if account is not None:
            require_reachable(self.directory.parent)
        read_or_make_secret(self.password_file)
        if not (self.directory / "PG_VERSION").exists():
            self._initialize(account)

    def program(self) -> Program:
        settings = {**_SETTINGS, "port": str(self.port)}
        if not self.durable:
            settings |= _NOT_DURABLE
        settings |= self.settings
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return Program(
            name="postgres",
            command=(
                str(binary("postgres", self.directory.parent)),
                "-D",
                str(self.directory),
                *options,
            ),
            environment=_environment(),
            ready=self._until_ready,
            directory=self.directory.parent,
            # SIGINT is PostgreSQL's fast shutdown: sessions end, everything is written.
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
            stop_seconds=30.0,
            # After a crash it reads up to 2 GB of its log again, and would begin anew each time.
            ready_seconds=600.0,
            account=account_to_run_as(),
        )

    async def _until_ready(self) -> None:
        """Until it takes connections and our database exists."""
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self.url_of("postgres"), autocommit=True, connect_timeout=5
                )
            except psycopg.OperationalError:
                await asyncio.sleep(_POLL_SECONDS)
                continue
            async with connection:
                names = await connection.execute(
                    "SELECT FROM pg_database WHERE datname = %s", [DATABASE]
                )
                if names.rowcount == 0:
                    await connection.execute(f"CREATE DATABASE {DATABASE}")
            return

    def _initialize(self, account: Account | None) -> None:
        fresh = self.directory.with_name(f"{self.directory.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if account is not None:
            os.chown(fresh, account.uid, account.gid)
        password = self.password_file.read_text()
        read_end, write_end = os.pipe()
        try:
            if account is not None:
                os.fchown(read_end, account.uid, account.gid)
            os.write(write_end, f"{password}\n".encode())
            os.close(write_end)
            done = subprocess.run(
                [
                    str(binary("initdb", self.directory.parent)),
                    *("-D", str(fresh), "-U", USER, "--encoding=UTF8", "--locale=C"),
                    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                    *("--auth=scram-sha-256", f"--pwfile=/dev/fd/{read_end}"),
                    *([] if self.durable else ["--no-sync"]),
                ],
                cwd=self.directory.parent,
                env=_environment(),
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                umask=0o077,
                pass_fds=[read_end],
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            os.close(read_end)
        if done.returncode != 0:
            raise MeshError(f"initdb failed in {fresh}:\n{(done.stderr or done.stdout).strip()}")
        # Only a whole cluster gets the name that is looked for.
        fresh.rename(self.directory)


def _environment() -> dict[str, str]:
    # Nothing of the caller's: PGDATA and its like would change what the server does.
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
