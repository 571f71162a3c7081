"""For tests: a clock moved by hand, tokens of one's own, an in-process server, a recorder."""

from __future__ import annotations

from eros_common.testing.clock import FakeClock
from eros_common.testing.recorder import Recorder
from eros_common.testing.server import TestServer, start_server
from eros_common.testing.tokens import TestTokens

__all__ = ["FakeClock", "Recorder", "TestServer", "TestTokens", "start_server"]
