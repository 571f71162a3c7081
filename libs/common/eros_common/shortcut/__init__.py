"""The short way of reads whose answer is cached: plain HTTP from the gateway, a hit or nothing.

A gRPC call in Python costs several times what the read itself does. So the gateway asks here first;
whatever is no hit (no entry, a token that is not believed, an odd query) is answered 404, and the
gateway makes the call, which knows all the rest. See ADR 0504.
"""

from __future__ import annotations

from eros_common.shortcut.port import Cached, ReadPort

__all__ = ["Cached", "ReadPort"]
