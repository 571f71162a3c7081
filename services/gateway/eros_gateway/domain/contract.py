"""What the descriptor set says: which methods exist, at which REST paths, for whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2

from eros_common.policy import Access, Policy, policy_of

PACKAGE_ROOT = "eros"
_LIST = "google.protobuf.ListValue"
# What may be written as a list.
_MANY = frozenset((_LIST, "google.protobuf.Value"))


class ContractFault(ValueError):
    """The descriptor set cannot be served; the message names what is wrong and where."""


@dataclass(frozen=True, slots=True, order=True)
class RestPath:
    """Where a method is found over REST. ``template`` is as in ``google.api.http``; ``query`` are
    the names of the parameters that it takes."""

    template: str
    verb: str
    query: tuple[str, ...] = ()

    @property
    def variables(self) -> int:
        """How many segments of the path the client fills in."""
        return self.template.count("{")


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC. ``service`` is its full name, ``cluster`` the short name of who serves it."""

    service: str
    name: str
    cluster: str
    policy: Policy
    rest: tuple[RestPath, ...]
    streaming: bool
    lists: tuple[str, ...] = ()
    """The body's fields that are ``google.protobuf.ListValue``."""
    single: tuple[str, ...] = ()
    """The body's fields that hold one value, those within others by their path."""

    @property
    def reads_cluster(self) -> str:
        """Who may have a cached answer to it."""
        return f"{self.cluster}-reads"

    @property
    def grpc_path(self) -> str:
        """Where gRPC clients find it."""
        return f"/{self.service}/{self.name}"

    @property
    def reachable(self) -> bool:
        """Whether anybody outside may call it at all."""
        return self.policy.access is not Access.SERVICE


@dataclass(frozen=True, slots=True)
class Contract:
    """Every method of every EROS service, and the descriptor set as Envoy needs it."""

    methods: tuple[Method, ...]
    descriptors: bytes

    @property
    def reachable(self) -> tuple[Method, ...]:
        """The methods the gateway lets through, in the contract's order."""
        return tuple(method for method in self.methods if method.reachable)

    @property
    def services(self) -> tuple[str, ...]:
        """Full names of the services with a reachable method."""
        return tuple(sorted({method.service for method in self.reachable}))

    @property
    def clusters(self) -> tuple[str, ...]:
        """Short names of the services with a reachable method."""
        return tuple(sorted({method.cluster for method in self.reachable}))

    @property
    def reading(self) -> tuple[str, ...]:
        """Short names of the services with a read port."""
        return tuple(sorted({m.cluster for m in self.reachable if m.policy.cached}))


def read_contract(descriptors: bytes) -> Contract:
    """The contract in a serialized ``FileDescriptorSet`` that includes its imports.

    ``ContractFault`` if it is none, a method has no policy, a SERVICE method has a REST path, or
    two methods share one.
    """
    files = parse(descriptors)
    methods = tuple(method for _, method in rpcs(files))
    if not methods:
        raise ContractFault("the descriptor set holds no EROS service")
    seen: dict[str, Method] = {}
    for method in methods:
        if method.rest and not method.reachable:
            raise ContractFault(f"{method.grpc_path} is for services only but has a REST path")
        for path in method.rest:
            place = f"{path.verb} {path.template}"
            if place in seen:
                raise ContractFault(
                    f"{place} is both {seen[place].grpc_path} and {method.grpc_path}"
                )
            seen[place] = method
    return Contract(methods, _for_envoy(files))


def parse(descriptors: bytes) -> descriptor_pb2.FileDescriptorSet:
    """``ContractFault`` if it is no descriptor set."""
    try:
        return descriptor_pb2.FileDescriptorSet.FromString(descriptors)
    except DecodeError:
        raise ContractFault("this is no descriptor set") from None


def rpcs(
    files: descriptor_pb2.FileDescriptorSet,
) -> Iterator[tuple[MethodDescriptor, Method]]:
    """Every method of every EROS service."""
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    for file in files.file:
        if file.package.split(".")[0] == PACKAGE_ROOT:
            for service in file.service:
                for found in pool.FindServiceByName(f"{file.package}.{service.name}").methods:
                    yield found, _method(found)


def _for_envoy(files: descriptor_pb2.FileDescriptorSet) -> bytes:
    """Without comments, and with the types that errors carry: one whose details Envoy does not know
    is not converted at all."""
    lean = descriptor_pb2.FileDescriptorSet()
    lean.CopyFrom(files)
    for file in lean.file:
        file.ClearField("source_code_info")
    known = {file.name for file in lean.file}

    def add(file: FileDescriptor) -> None:
        if file.name not in known:
            known.add(file.name)
            for dependency in file.dependencies:
                add(dependency)
            lean.file.add().ParseFromString(file.serialized_pb)

    add(error_details_pb2.DESCRIPTOR)
    return lean.SerializeToString()


def _method(found: MethodDescriptor) -> Method:
    service = found.containing_service
    policy = policy_of(found)
    if policy is None:
        raise ContractFault(f"{found.full_name} declares no (eros.options.v1.policy)")
    return Method(
        service=service.full_name,
        name=found.name,
        # eros.accounts.v1.AccountsService is served by "accounts".
        cluster=service.full_name.split(".")[1],
        policy=policy,
        rest=tuple(_rest_paths(found)),
        streaming=found.client_streaming or found.server_streaming,
        lists=tuple(
            field.json_name
            for field in found.input_type.fields
            if field.message_type and field.message_type.full_name == _LIST
        ),
        single=tuple(_single(found.input_type)),
    )


def _single(message: Descriptor, within: str = "") -> Iterator[str]:
    for field in message.fields:
        kind = field.message_type
        if not field.is_repeated and (kind is None or kind.full_name not in _MANY):
            yield f"{within}{field.json_name}"
            if kind is not None and kind.file.package.split(".")[0] == PACKAGE_ROOT:
                yield from _single(kind, f"{within}{field.json_name}.")


def _rest_paths(found: MethodDescriptor) -> Iterator[RestPath]:
    options = found.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return
    rule: http_pb2.HttpRule = options.Extensions[annotations_pb2.http]
    for binding in (rule, *rule.additional_bindings):
        verb = binding.WhichOneof("pattern")
        if verb == "custom" or verb is None:
            raise ContractFault(f"{found.full_name} has a REST path with an unusual method")
        if binding.body not in ("", "*"):
            raise ContractFault(f"{found.full_name} takes a part of its message as the body")
        template: str = getattr(binding, verb)
        fields = [] if binding.body else found.input_type.fields
        query = tuple(f.json_name for f in fields if f"{{{f.name}}}" not in template)
        yield RestPath(template, verb.upper(), query)
