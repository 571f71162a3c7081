"""Run by `./eros` under any Python 3.11+: prepare what is missing, then become the CLI.

Started with `-I -S`, so nothing but the standard library and this folder can be imported.
"""

from __future__ import annotations

import os
import signal
import sys

from eros_bootstrap.checkout import Checkout
from eros_bootstrap.failure import PreparationError
from eros_bootstrap.prepare import prepare
from eros_bootstrap.progress import Progress


def main() -> None:
    checkout = Checkout.of_this_file()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As Ctrl-C: what was started is ended on the way out.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    try:
        prepare(checkout, Progress())
    except PreparationError as error:
        print(f"eros: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    python = str(checkout.python)
    # `exec` sets handled signals back to their defaults and keeps ignored ones ignored.
    os.execv(python, [python, "-m", "eros_cli", *sys.argv[1:]])
