"""The gateway's settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, PositiveFloat, model_validator

from eros.options.v1 import options_pb2
from eros_common.config import (
    Address,
    NightSettings,
    PeerSettings,
    PhaseSettings,
    TelemetrySettings,
    unset_or_address,
)
from eros_common.policy import Limit
from eros_gateway.domain.clusters import Endpoint, endpoints, listening
from eros_gateway.domain.contract import read_contract
from eros_gateway.domain.limits import Rate, Rates

_LONGEST_SOCKET_PATH = 107
"""``sun_path`` of unix(7) holds 108 bytes with its terminating zero."""


_RECENT_SECONDS = 35.0
"""Apps send a heartbeat each 30 s."""


def _targets(value: str) -> str:
    endpoints(value)
    return value


def _origins(value: str) -> str:
    for origin in split(value):
        scheme, separator, host = origin.partition("://")
        if origin != "*" and (scheme not in ("http", "https") or not separator or "/" in host):
            raise ValueError(f"{origin!r} is no origin such as https://app.example.org")
    return value


def jwks_socket(admin_socket: Path) -> Path:
    """Where Envoy hands itself the public keys."""
    return admin_socket.with_name(f"{admin_socket.name}.jwks")


def tls_secret(admin_socket: Path) -> Path:
    """Where Envoy reads which certificate it has."""
    return admin_socket.with_name(f"{admin_socket.name}.tls.json")


def _socket(path: Path) -> Path:
    if len(os.fsencode(jwks_socket(path.absolute()))) > _LONGEST_SOCKET_PATH:
        raise ValueError(f"is too long for a socket: at most {_LONGEST_SOCKET_PATH - 5} bytes")
    return path.absolute()


def _descriptors(path: Path) -> Path:
    try:
        read_contract(path.read_bytes())
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror} ({path})") from None
    return path


def split(value: str) -> tuple[str, ...]:
    """The parts between commas."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


Targets = Annotated[str, AfterValidator(_targets)]
"""One or more gRPC targets between commas; each is an endpoint of its own."""


DescriptorSet = Annotated[Path, AfterValidator(_descriptors)]
DESCRIPTOR_SET: Final = Path(options_pb2.__file__).parents[3] / "eros.binpb"
"""Where ./eros puts it, beside the generated packages."""


class GatewaySettings(TelemetrySettings, PeerSettings, NightSettings, PhaseSettings):
    """What ``python -m eros_gateway`` reads from the environment."""

    gateway_listen: Address = "127.0.0.1:3000"
    gateway_admin_socket: Annotated[Path, AfterValidator(_socket)]
    gateway_access_log: str = "/dev/stdout"
    """A file or device Envoy may write to; ``/dev/null`` for none."""
    gateway_metrics_listen: Annotated[str, AfterValidator(unset_or_address)] = ""
    """Where Envoy's own statistics (``/metrics``, for Prometheus) and readiness (``/ready``) may be
    read over HTTP; unset: nowhere. For the inside only."""
    gateway_threads: int = Field(0, ge=0, le=256)
    """0: as many as there are cores."""
    gateway_max_connections: int = Field(20_000, ge=1)
    gateway_max_heap_mib: int = Field(0, ge=0)
    """What Envoy may take: near to it connections are not kept, then new requests answered 503,
    then no connection accepted; 0: as much as there is."""
    gateway_max_reads: int = Field(64, ge=1)
    """Reads under way at once per endpoint and Envoy; more are answered 503 at once, so that those
    that are let in stay quick. Writes, sign-ins and heartbeats have their own, wider limit. A name
    is one endpoint here, however many pods it stands for."""
    gateway_max_requests: int = Field(1024, ge=1)
    """Of everything but reads under way at once per endpoint and Envoy; more are answered 503."""
    gateway_tls_certificate_file: Path | None = None
    """PEM, with its chain; with the key it makes the listener speak TLS 1.2 and 1.3 only. Read
    again when a file is moved into its folder: a renewal needs no restart."""
    gateway_tls_key_file: Path | None = None
    gateway_trusted_proxies: int = Field(0, ge=0, le=10)
    """How many proxies of ours are in front and tell the client's address."""
    gateway_request_seconds: PositiveFloat = 15.0
    """How long a client may take to send a request."""
    gateway_drain_seconds: PositiveFloat = 10.0

    accounts_address: Targets = "127.0.0.1:50051"
    activity_address: Targets = "127.0.0.1:50052"
    scheduler_address: Targets = "127.0.0.1:50053"
    matcher_address: Targets = "127.0.0.1:50054"
    assistant_address: Targets = "127.0.0.1:50055"
    gateway_address: Targets = "127.0.0.1:50056"
    """Of ``eros_gateway.front``: health and documentation."""
    accounts_reads_address: Targets = "127.0.0.1:50061"
    matcher_reads_address: Targets = "127.0.0.1:50064"
    """Where cached answers are asked for (their ``EROS_READS_LISTEN``)."""
    als_address: Targets = "127.0.0.1:50062"
    """Activity's access-log port (its ``EROS_ALS_LISTEN``)."""
    gateway_trace_percent: float = Field(1.0, ge=0, le=100)
    """Of requests, how many are traced; none without ``OTEL_EXPORTER_OTLP_ENDPOINT``."""
    span_delay_ms: int = Field(5000, ge=1, validation_alias="OTEL_BSP_SCHEDULE_DELAY")
    """How long Envoy keeps a span before it is sent with others, as the services' own SDK does."""

    als_flush_seconds: float = Field(0.005, ge=0.001, le=10)
    gateway_gather_per_second: int = Field(400, ge=0)
    """From so many signs of life a second and thread on, those of people who gave one a moment ago
    are sent together instead of one by one; 0: never."""

    call_timeout_seconds: PositiveFloat = 10.0
    """Of methods whose policy names none; the services' own default."""
    jwks_refresh_seconds: float = Field(60.0, ge=1)
    """A new signing key must be published for longer than this before it signs."""

    cors_origins: Annotated[str, AfterValidator(_origins)] = ""
    """Web origins that may call, between commas; ``*`` for any."""
    rate_per_second: int = Field(200, ge=0)
    """Requests of one address in all, but heartbeats, which have a limit of their own; 0: there are
    no limits per address at all. As of every limit per second, twice as many may come at once."""
    rate_read_per_second: int = Field(100, ge=0)
    """Of one address at each read; 0, here and below: no limit of the routes' own."""
    rate_write_per_second: int = Field(50, ge=0)
    """Of one address at each route that saves, acts, blocks or changes something else."""
    rate_heartbeat_per_second: int = Field(200, ge=0)
    """Of one address: 6,000 phones behind it at one in 30 s."""
    rate_open_per_second: int = Field(50, ge=0)
    """Of one address at each of health, the documents and the console's page."""
    rate_sign_in_per_minute: int = Field(60, ge=0)
    """Logins of one address, and refreshes. As of every limit per minute, so many may come at
    once."""
    rate_register_per_minute: int = Field(20, ge=0)
    """Registrations of one address."""
    rate_leave_per_minute: int = Field(10, ge=0)
    """Exports of one address, and deletions."""
    rate_generate_per_minute: int = Field(120, ge=0)
    """Of one address at each route where the assistant writes."""
    rate_addresses: int = Field(20_000, ge=1)
    """How many pairs of address and route are kept in mind of each limit, the latest; about 0.7 KB
    each."""

    descriptor_set: DescriptorSet = DESCRIPTOR_SET

    @model_validator(mode="after")
    def _certificate_and_key(self) -> Self:
        files = (self.gateway_tls_certificate_file, self.gateway_tls_key_file)
        if (files[0] is None) != (files[1] is None):
            raise ValueError(
                "EROS_GATEWAY_TLS_CERTIFICATE_FILE and EROS_GATEWAY_TLS_KEY_FILE go together"
            )
        for file in files:
            if file is not None and not os.access(file, os.R_OK):
                raise ValueError(f"the TLS file {file} cannot be read")
        return self

    def address_of(self, service: str) -> str:
        """The targets of a service by its short name; ``KeyError`` if none is set."""
        try:
            return str(getattr(self, f"{service}_address"))
        except AttributeError:
            raise KeyError(service) from None

    def reads_address_of(self, service: str) -> str:
        """As ``address_of``, of its read port."""
        return self.address_of(f"{service}_reads")

    @property
    def certificate_and_key(self) -> tuple[Path, Path] | None:
        """Both, or None for plain text."""
        certificate, key = self.gateway_tls_certificate_file, self.gateway_tls_key_file
        if certificate is None or key is None:
            return None
        return certificate.absolute(), key.absolute()

    @property
    def recent_seconds(self) -> float:
        """Whoever gave a sign of life so long ago (wall), and up to twice that, is awake without
        doubt: longer than apps are silent between two heartbeats, and well below what is asleep."""
        return min(_RECENT_SECONDS, self.idle_phase1_seconds / self.night_rate / 4)

    @property
    def metrics_endpoint(self) -> Endpoint | None:
        """Where statistics may be read."""
        return listening(self.gateway_metrics_listen) if self.gateway_metrics_listen else None

    @property
    def rates(self) -> Rates:
        return Rates(
            _per_second(self.rate_per_second),
            {
                Limit.READ: _per_second(self.rate_read_per_second),
                Limit.WRITE: _per_second(self.rate_write_per_second),
                Limit.HEARTBEAT: _per_second(self.rate_heartbeat_per_second),
                Limit.OPEN: _per_second(self.rate_open_per_second),
                Limit.SIGN_IN: _per_minute(self.rate_sign_in_per_minute),
                Limit.REGISTER: _per_minute(self.rate_register_per_minute),
                Limit.LEAVE: _per_minute(self.rate_leave_per_minute),
                Limit.GENERATE: _per_minute(self.rate_generate_per_minute),
            },
            self.rate_addresses,
        )


def _per_second(requests: int) -> Rate:
    return Rate(requests, 1, 2 * requests)


def _per_minute(requests: int) -> Rate:
    return Rate(requests, 60, requests)
