"""``python -m eros_gateway`` runs Envoy; ``render --out FILE`` only writes its configuration."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from eros_common import logging
from eros_common.config import load
from eros_gateway.config import GatewaySettings
from eros_gateway.render import write
from eros_gateway.serve import serve


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m eros_gateway", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="run Envoy until stopped (also without a command)")
    command = commands.add_parser("render", help="write Envoy's configuration")
    command.add_argument("--out", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    settings = load(GatewaySettings)
    if arguments.command == "render":
        write(settings, arguments.out)
        return 0
    logging.configure(fmt=settings.log_format, level=settings.log_level, service="gateway")
    configuration = settings.gateway_admin_socket.with_suffix(".yaml")
    write(settings, configuration)
    return asyncio.run(serve(settings, configuration))


if __name__ == "__main__":
    sys.exit(main())
