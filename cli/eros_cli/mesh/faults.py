"""What can go wrong when servers are started on this machine; shown without a traceback."""

from __future__ import annotations


class MeshError(Exception):
    """One line for a person: what happened, where to look or what to change."""


class AlreadyRunning(MeshError):
    """Another supervisor holds the data directory."""


class PortTaken(MeshError):
    """A port that was asked for is in use."""


class ProgramFailed(MeshError):
    """A server or service ended before it was ready, or ends again and again."""
