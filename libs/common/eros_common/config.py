"""Settings from the environment. All faults are refused at start, at once, by variable name.

A service's settings are ``class XSettings(ServiceSettings, DatabaseSettings, NightSettings)`` plus
its own fields: a field ``lease_seconds`` is read from ``EROS_LEASE_SECONDS``.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from eros_common import phases
from eros_common.clocks import NightLine, SystemClock
from eros_common.phases import IdleThresholds, Window
from eros_common.redis_cluster import CLUSTER_SCHEMES, cluster_nodes
from eros_common.telemetry import Outlets

PREFIX = "EROS_"
EXIT_BAD_SETTINGS = 2


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if value.startswith("unix:"):
        return value
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be host:port with a port of 0 to 65535")
    return value


def _target(value: str) -> str:
    if "://" not in value and not value.startswith(("dns:", "unix:", "ipv4:", "ipv6:")):
        return _address(value)
    return value


def _url(*schemes: str) -> AfterValidator:
    def check(value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(tuple(f"{s}://" for s in schemes)):
            raise ValueError(f"must be a URL that starts with {' or '.join(schemes)}://")
        return value

    return AfterValidator(check)


def _files(*names: str) -> AfterValidator:
    """The files that a URL names by these of its parameters can be read."""

    def check(value: SecretStr) -> SecretStr:
        for name, path in parse_qsl(urlsplit(value.get_secret_value()).query):
            if name in names and path != "system":
                try:
                    Path(path).read_bytes()
                except OSError as error:
                    raise ValueError(f"{name} cannot be read: {error.strerror} ({path})") from None
        return value

    return AfterValidator(check)


def _cluster(value: SecretStr) -> SecretStr:
    if value.get_secret_value().startswith(CLUSTER_SCHEMES):
        cluster_nodes(value.get_secret_value())
    return value


def _zone(value: str) -> str:
    if not phases.is_zone(value):
        raise ValueError("is no IANA time zone known here")
    return value


def _otlp(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if value and (scheme not in ("http", "https") or not rest.strip("/")):
        raise ValueError("must be a URL such as http://collector:4317")
    return value


def unset_or_address(value: str) -> str:
    """Empty, or ``host:port``; for fields that may be off."""
    return value and _address(value)


Address = Annotated[str, AfterValidator(_address)]
"""``host:port`` to listen on; port 0 means any free one."""
Target = Annotated[str, AfterValidator(_target)]
"""A gRPC target: ``host:port`` or ``dns:///name:port``."""
Zone = Annotated[str, AfterValidator(_zone)]
"""The name of an IANA time zone."""
PostgresUrl = Annotated[
    SecretStr,
    _url("postgresql", "postgres"),
    _files("sslrootcert", "sslcert", "sslkey", "sslcrl"),
]
RedisUrl = Annotated[
    SecretStr,
    _url("redis", "rediss", "unix", "redis+cluster", "rediss+cluster"),
    AfterValidator(_cluster),
    _files("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"),
]
"""Of one Valkey, or of a cluster by some of its nodes: ``redis+cluster://host:port,host:port``."""
OtlpUrl = Annotated[str, AfterValidator(_otlp)]
"""Of an OTLP collector, gRPC; empty for none."""
LocalTime = Annotated[time, Field(description="HH:MM on a local clock")]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        extra="ignore",
        populate_by_name=True,
        frozen=True,
        hide_input_in_errors=True,
        env_ignore_empty=True,
        validate_default=True,
    )


class TelemetrySettings(_Settings):
    """Logs, and where traces and metrics go (nowhere unless set)."""

    log_format: Literal["json", "text"] = "json"
    log_level: LogLevel = "INFO"
    otel_endpoint: OtlpUrl = Field("", validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    metrics_listen: Annotated[str, AfterValidator(unset_or_address)] = ""
    """Where Prometheus may read the metrics over HTTP (``/metrics``); unset: nowhere."""

    @property
    def outlets(self) -> Outlets:
        return Outlets(self.otel_endpoint, self.metrics_listen)


class RedisSettings(_Settings):
    """The Valkey servers; both roles default to ``REDIS_URL``."""

    redis_url: RedisUrl = Field(SecretStr("redis://127.0.0.1:6379"), validation_alias="REDIS_URL")
    activity_redis: RedisUrl | None = Field(None, validation_alias="ACTIVITY_REDIS_URL")
    cache_redis: RedisUrl | None = Field(None, validation_alias="CACHE_REDIS_URL")

    @property
    def activity_redis_url(self) -> SecretStr:
        """No eviction, append-only file."""
        return self.activity_redis or self.redis_url

    @property
    def cache_redis_url(self) -> SecretStr:
        """Least recently used go first; no persistence."""
        return self.cache_redis or self.redis_url


class PeerSettings(_Settings):
    """Where the other services are."""

    accounts_address: Target = "127.0.0.1:50051"
    activity_address: Target = "127.0.0.1:50052"
    scheduler_address: Target = "127.0.0.1:50053"
    matcher_address: Target = "127.0.0.1:50054"
    assistant_address: Target = "127.0.0.1:50055"


class IdentitySettings(_Settings):
    """This service's own signing key and everybody's public keys."""

    service_key_file: Path | None = None
    service_jwks_file: Path | None = None


class DatabaseSettings(_Settings):
    """The truth."""

    database_url: PostgresUrl = Field(validation_alias="DATABASE_URL")
    database_pool_size: int = Field(10, ge=1, le=200)


class NightSettings(_Settings):
    """The night clock: epoch + (wall - t0) x rate; without any of the three, wall time."""

    night_epoch: AwareDatetime | None = None
    night_t0: AwareDatetime | None = None
    night_rate: PositiveFloat = 1.0

    @model_validator(mode="after")
    def _epoch_and_t0(self) -> Self:
        if (self.night_epoch is None) != (self.night_t0 is None):
            raise ValueError("EROS_NIGHT_EPOCH and EROS_NIGHT_T0 go together: set both or none")
        if self.night_rate != 1.0 and self.night_t0 is None:
            raise ValueError("EROS_NIGHT_RATE needs EROS_NIGHT_EPOCH and EROS_NIGHT_T0")
        return self

    @property
    def night_line(self) -> NightLine:
        unix = datetime(1970, 1, 1, tzinfo=UTC)
        return NightLine(self.night_epoch or unix, self.night_t0 or unix, self.night_rate)

    def clock(self) -> SystemClock:
        return SystemClock(self.night_line)


class PhaseSettings(_Settings):
    """Idle seconds (night time) from which each phase holds, and when a session ends."""

    idle_phase1_seconds: PositiveFloat = 600.0
    idle_phase2_seconds: PositiveFloat = 1800.0
    idle_phase3_seconds: PositiveFloat = 3600.0
    session_end_seconds: PositiveFloat = 600.0

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if not self.idle_phase1_seconds < self.idle_phase2_seconds < self.idle_phase3_seconds:
            raise ValueError(
                "EROS_IDLE_PHASE1_SECONDS, EROS_IDLE_PHASE2_SECONDS and EROS_IDLE_PHASE3_SECONDS "
                "must be strictly ascending"
            )
        return self

    @property
    def idle_thresholds(self) -> IdleThresholds:
        return IdleThresholds(
            self.idle_phase1_seconds, self.idle_phase2_seconds, self.idle_phase3_seconds
        )


class WindowSettings(_Settings):
    """The off-peak window on each person's local clock."""

    default_time_zone: Zone = "UTC"
    window_start: LocalTime = time(23)
    window_phase2: LocalTime = time(2)
    window_phase3: LocalTime = time(5)
    window_end: LocalTime = time(7)

    @model_validator(mode="after")
    def _order(self) -> Self:
        try:
            self._window()
        except ValueError as error:
            raise ValueError(
                "EROS_WINDOW_START, EROS_WINDOW_PHASE2, EROS_WINDOW_PHASE3 and EROS_WINDOW_END: "
                f"{error}"
            ) from None
        return self

    def _window(self) -> Window:
        return Window(self.window_start, self.window_phase2, self.window_phase3, self.window_end)

    @property
    def window(self) -> Window:
        return self._window()


class MatchesSettings(_Settings):
    """What people are shown."""

    matches_a_day: int = Field(10, ge=1, le=50)
    """People on a daily list, and in a preview; the same for the matcher and its workers."""
    lists_days: int = Field(31, ge=31, le=3660)
    """Daily lists older than this are forgotten when a newer one is made (who was shown in the last
    30 days does not come again). What was decided stays."""


class ServiceSettings(TelemetrySettings, RedisSettings, PeerSettings, IdentitySettings):
    """What every server process has."""

    listen: Address | None = "127.0.0.1:0"
    stop_grace_seconds: PositiveFloat = 10.0
    max_connection_age_seconds: NonNegativeFloat = 0.0
    """0: connections may live for ever (one address, nothing to spread)."""
    max_message_bytes: int = Field(4 * 1024 * 1024, ge=1024)
    client_ping_seconds: PositiveFloat = 20.0
    """How often EROS channels ping an idle server; servers accept pings at twice that pace."""
    call_timeout_seconds: PositiveFloat = 10.0
    """Of unary calls without a deadline of their own."""


S = TypeVar("S", bound=BaseSettings)


class SettingsFault(Exception):
    """Settings that are refused; ``faults`` has one line per fault, naming the variable."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def read(cls: type[S], **overrides: Any) -> S:
    """The settings of this process, or ``SettingsFault`` with every fault."""
    try:
        return cls(**overrides)
    except ValidationError as error:
        faults = _faults(cls, error)
    # A check across fields does not run while any field of its class is wrong, so each group of
    # settings is read by itself too: what one hides, another shows.
    for group in cls.__mro__[1:]:
        if issubclass(group, _Settings):
            mine = {k: v for k, v in overrides.items() if k in group.model_fields}
            try:
                group(**mine)
            except ValidationError as error:
                faults += _faults(cls, error)
    raise SettingsFault(sorted(set(faults)))


def load(cls: type[S]) -> S:
    """``read`` for a ``__main__``: prints every fault and exits with code 2."""
    try:
        return read(cls)
    except SettingsFault as fault:
        print("refused to start; these settings are wrong:", file=sys.stderr)
        for line in fault.faults:
            print(f"  {line}", file=sys.stderr)
        sys.exit(EXIT_BAD_SETTINGS)


def variable_of(cls: type[BaseSettings], field: str) -> str:
    """The environment variable a field is read from."""
    info = cls.model_fields.get(field)
    alias = info.validation_alias if info is not None else None
    if isinstance(alias, str):
        return alias
    return field if field.isupper() else PREFIX + field.upper()


def _faults(cls: type[BaseSettings], error: ValidationError) -> list[str]:
    lines: list[str] = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        message = fault["msg"].removeprefix("Value error, ")
        location = fault["loc"]
        if not location:
            # A check across fields names its variables itself.
            lines.append(message)
            continue
        name = variable_of(cls, str(location[0]))
        if fault["type"] == "missing":
            message = "is not set"
        lines.append(f"{name}: {message[0].lower()}{message[1:]}")
    return lines
