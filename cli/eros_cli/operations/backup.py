"""The truth, PostgreSQL, into one file and back. Valkey needs none: activity is learned anew within
a heartbeat and a pause, and the cache is filled from the database."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from eros_cli.embedded.postgres_binaries import binary
from eros_cli.mesh.faults import MeshError

_SCHEMAS = ("accounts", "scheduler", "matcher", "assistant")


async def back_up(database_url: str, file: Path) -> int:
    """Writes every schema of EROS as of one instant, while all goes on; returns the bytes.

    Raises MeshError. The file is there whole or not at all, readable by its owner only.
    """
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        # Before there is anything in it to read; pg_dump leaves a file's mode as it is.
        draft.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise MeshError(f"{file} cannot be written: {error.strerror}") from None
    try:
        await _run("pg_dump", database_url, "--format=custom", "--file", os.fspath(draft))
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return file.stat().st_size


async def restore(database_url: str, file: Path) -> None:
    """Fills an empty database from the file; nothing of it stays if anything fails.

    Raises MeshError, also where the database is not empty.
    """
    if not file.exists():
        raise MeshError(f"{file} is not there")
    taken = await asyncio.to_thread(_schemas, database_url)
    if taken:
        raise MeshError(
            f"the database is not empty: it has {', '.join(taken)}; restore into a new one"
        )
    await asyncio.to_thread(_make_roles, database_url)
    await _run(
        "pg_restore",
        database_url,
        "--exit-on-error",
        "--single-transaction",
        os.fspath(file),
    )
    await asyncio.to_thread(_renumber, database_url)


def _renumber(database_url: str) -> None:
    """What comes from a server that counted further has the numbers of transactions to come: news
    for ever, and every market built from it stale."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE matcher.features SET written = pg_current_xact_id()"
            " WHERE written > pg_current_xact_id()"
        )
        connection.execute("DELETE FROM matcher.kept WHERE since > pg_current_xact_id()")


def _schemas(database_url: str) -> list[str]:
    query = "SELECT nspname FROM pg_namespace WHERE nspname = ANY (%s) ORDER BY 1"
    try:
        with psycopg.connect(database_url) as connection:
            return [name for (name,) in connection.execute(query, [list(_SCHEMAS)])]
    except psycopg.Error as error:
        raise MeshError(f"the database cannot be reached: {error}") from None


def _make_roles(database_url: str) -> None:
    """Roles belong to the server and are in no dump."""
    with psycopg.connect(database_url) as connection:
        for name in (f"eros_{schema}" for schema in _SCHEMAS):
            role = sql.Identifier(name)
            known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name])
            if known.fetchone() is None:
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(role))
            member = connection.execute("SELECT pg_has_role(%s, 'SET')", [name]).fetchone()
            if member != (True,):
                connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))


async def _run(program: str, database_url: str, *words: str) -> None:
    # The password goes by the environment: arguments are for everybody to read.
    url = urlsplit(database_url)
    bare = url._replace(netloc=url.netloc.replace(f":{url.password}@", "@", 1))
    with tempfile.TemporaryDirectory(prefix="eros-pg-") as folder:
        process = await asyncio.create_subprocess_exec(
            _program(program, Path(folder), tls=_asks_for_tls(url.query)),
            *("--dbname", urlunsplit(bare)),
            *words,
            # As it is: only in an address is it percent-encoded.
            env={**os.environ, "PGPASSWORD": unquote(url.password or "")},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
    if process.returncode != 0:
        raise MeshError(f"{program} failed:\n{said.decode().strip()}")


def _asks_for_tls(query: str) -> bool:
    mode = parse_qs(query).get("sslmode", [""])[-1]
    return mode == "require" or mode.startswith("verify-")


def _program(name: str, folder: Path, *, tls: bool) -> str:
    """PostgreSQL's own, of the server's version or newer: from its package, or PATH. Those of the
    package speak no TLS."""
    own = binary(name, folder)
    if own.exists() and not tls:
        return os.fspath(own)
    found = shutil.which(name)
    if found is None:
        raise MeshError(f"{name} is not here: install PostgreSQL's client programs")
    return found
