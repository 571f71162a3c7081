"""On one machine each program shows its metrics at a port of its own."""

from __future__ import annotations

from eros_cli.mesh.options import Part
from eros_cli.mesh.services import _MODULES, _metrics_address


def test_no_two_programs_share_a_port() -> None:
    programs = [(part, 0) for part in _MODULES] + [(Part.WORKER, 1), (Part.WORKER, 2)]
    found = [_metrics_address("127.0.0.1:9464", *program) for program in programs]
    assert len(set(found)) == len(found)
    assert found[0] == "127.0.0.1:9464"
