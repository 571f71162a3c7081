"""`eros admin`: what only the operator may do."""

from __future__ import annotations

import asyncio

import typer
from rich.console import Console


def register(app: typer.Typer) -> None:
    admin = typer.Typer(help="Operator's tasks on a running EROS.", no_args_is_help=True)
    app.add_typer(admin, name="admin")

    @admin.callback()
    def _admin() -> None:
        """Operator's tasks on a running EROS."""

    @admin.command()
    def grant(
        email: str = typer.Argument(help="The e-mail address somebody registered with."),
    ) -> None:
        """Make a registered person an administrator, from their next token on."""
        user_id = asyncio.run(_grant(email))
        Console().print(
            f"{email} ({user_id}) is an administrator from the next sign-in or refresh."
        )


async def _grant(email: str) -> str:
    from eros.accounts.v1 import accounts_pb2, accounts_pb2_grpc
    from eros_cli.mesh.options import Part
    from eros_cli.operator import operator_channel, running_environment

    async with operator_channel(running_environment(), Part.ACCOUNTS) as channel:
        accounts = accounts_pb2_grpc.AccountsServiceStub(channel)
        answer = await accounts.GrantAdmin(accounts_pb2.GrantAdminRequest(email=email))
    return answer.user_id
