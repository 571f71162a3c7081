"""What a mesh says about itself on disk: what runs, and how other commands reach it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from eros_cli.embedded.secret import write_secret
from eros_cli.mesh.keeper import Keeper
from eros_cli.mesh.options import Part
from eros_cli.mesh.plan import Plan
from eros_cli.mesh.processes import ProcessId
from eros_cli.mesh.state import Child, State, write_state


def publish_state(plan: Plan, keepers: Mapping[str, Keeper]) -> None:
    """For a second start, and for cleaning up after a supervisor that was killed."""
    children = {
        name: Child(process.id, int(process.program.stop_signal))
        for name, keeper in keepers.items()
        if (process := keeper.process) is not None and process.id is not None
    }
    address = plan.addresses.gateway_url if Part.GATEWAY in plan.options.parts else None
    me = ProcessId.of_this_process()
    write_state(plan.data, State(me, address, str(plan.data.root), children))


def publish_environment(plan: Plan) -> None:
    """For commands beside the mesh; read by whoever may read the keys."""
    text = json.dumps(plan.client_environment(), indent=1)
    write_secret(plan.data.client_environment, text)
