"""The mesh on one machine: servers and services, started, watched and stopped together."""

from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, NightClock

__all__ = ["Mesh", "MeshError", "MeshOptions", "NightClock"]
