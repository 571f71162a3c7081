"""Settings of the gateway's own service."""

from __future__ import annotations

from pathlib import Path

from pydantic import NonNegativeFloat, PositiveFloat

from eros_common.config import Address, DatabaseSettings, ServiceSettings
from eros_gateway.config import DESCRIPTOR_SET, DescriptorSet


class FrontSettings(ServiceSettings, DatabaseSettings):
    """A field ``x`` is read from ``EROS_X``."""

    listen: Address | None = "127.0.0.1:50056"
    health_cache_seconds: NonNegativeFloat = 1.0
    """How old an answer about health may be: a flood of questions asks the parts no oftener."""
    health_timeout_seconds: PositiveFloat = 1.0
    """A part that does not answer for so long is down."""
    descriptor_set: DescriptorSet = DESCRIPTOR_SET
    """The contract, for ``/openapi.json``."""
    gateway_admin_socket: Path | None = None
    """Envoy's, to be asked whether it is ready; without it Envoy is not among the parts."""

    def address_of(self, service: str) -> str:
        """The target of a service by its short name."""
        return str(getattr(self, f"{service}_address"))
