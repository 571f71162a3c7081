"""The short way of reads whose answer is cached: plain HTTP from the gateway, printed answers only.

A gRPC call in Python costs several times what the read itself does. So the gateway asks here first;
whatever has no answer to print (a token that is not believed, an odd query, a fault) is answered
404, and the gateway makes the call, which knows the words for it. See ADR 0504.
"""

from __future__ import annotations

from eros_common.shortcut.port import Read, ReadPort

__all__ = ["Read", "ReadPort"]
