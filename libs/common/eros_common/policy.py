"""Who may call a method, read from the proto option ``(eros.options.v1.policy)``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from eros.options.v1 import options_pb2


class Access(IntEnum):
    """The numbers of ``eros.options.v1.Access``."""

    PUBLIC = options_pb2.ACCESS_PUBLIC
    USER = options_pb2.ACCESS_USER
    ADMIN = options_pb2.ACCESS_ADMIN
    SERVICE = options_pb2.ACCESS_SERVICE


class Limit(IntEnum):
    """The numbers of ``eros.options.v1.Limit``."""

    SIGN_IN = options_pb2.LIMIT_SIGN_IN
    REGISTER = options_pb2.LIMIT_REGISTER
    LEAVE = options_pb2.LIMIT_LEAVE
    GENERATE = options_pb2.LIMIT_GENERATE
    WRITE = options_pb2.LIMIT_WRITE
    READ = options_pb2.LIMIT_READ
    HEARTBEAT = options_pb2.LIMIT_HEARTBEAT
    OPEN = options_pb2.LIMIT_OPEN


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy of one method. ``timeout`` is in seconds; None means the service's default.
    ``limit`` is None where what the method is over REST says it."""

    access: Access
    callers: frozenset[str] = frozenset()
    background: bool = False
    touch_on_arrival: bool = False
    timeout: float | None = None
    idempotency_key: bool = False
    limit: Limit | None = None
    cached: bool = False

    @classmethod
    def public(cls) -> Self:
        """Anybody; for foreign services such as Envoy's access log on a private port."""
        return cls(Access.PUBLIC)


def policy_of(method: MethodDescriptor) -> Policy | None:
    """The policy a method declares, or None: then it must be refused."""
    options = method.GetOptions()
    if not options.HasExtension(options_pb2.policy):
        return None
    declared = options.Extensions[options_pb2.policy]
    if declared.access == options_pb2.ACCESS_UNSPECIFIED:
        return None
    return Policy(
        access=Access(declared.access),
        callers=frozenset(declared.callers),
        background=declared.background,
        touch_on_arrival=declared.touch_on_arrival,
        timeout=declared.timeout_ms / 1000 if declared.timeout_ms else None,
        idempotency_key=declared.idempotency_key,
        limit=Limit(declared.limit) if declared.limit else None,
        cached=declared.cached,
    )


def service_descriptor(name: str) -> ServiceDescriptor:
    """The descriptor of an imported service, by its full name; ``KeyError`` if unknown."""
    # The pool holds every proto module that was imported.
    return descriptor_pool.Default().FindServiceByName(name)


def method_descriptor(path: str) -> MethodDescriptor:
    """The descriptor of an imported service's method by its full path; ``KeyError`` if unknown."""
    service, _, name = path.removeprefix("/").partition("/")
    return service_descriptor(service).methods_by_name[name]


def policies(service: ServiceDescriptor) -> dict[str, Policy]:
    """Policies by full path ``/package.Service/Method``; ``ValueError`` if one declares none."""
    found: dict[str, Policy] = {}
    missing: list[str] = []
    for method in service.methods:
        policy = policy_of(method)
        if policy is None:
            missing.append(method.full_name)
        else:
            found[f"/{service.full_name}/{method.name}"] = policy
    if missing:
        raise ValueError(f"no (eros.options.v1.policy) on {', '.join(missing)}")
    return found
