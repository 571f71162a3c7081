"""One simulation from begin to end."""

from __future__ import annotations

import time

from eros_cli.simulation.options import Options
from eros_cli.simulation.report import Report, report
from eros_cli.simulation.world import World


def simulate(options: Options) -> Report:
    """The same options give the same report, but for `seconds`."""
    began = time.process_time()
    world = World(options)
    world.run()
    return report(world, time.process_time() - began)
