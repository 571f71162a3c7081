"""What a composition root wires with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import cached_property
from typing import Generic, TypeVar

import grpc
from pydantic_settings import BaseSettings

from eros_common.auth.identity import ServiceIdentity
from eros_common.auth.keys import KeySource
from eros_common.auth.revocation import RevocationMirror
from eros_common.channel import open_channel
from eros_common.clocks import Clock, SystemClock
from eros_common.config import NightSettings, ServiceSettings, SettingsFault
from eros_common.each_address import EachAddress, resolver
from eros_common.policy import Access, Policy, method_descriptor, policy_of
from eros_common.redis import open_redis
from eros_common.server import AddServicer, Registration, ServerOptions
from eros_common.shortcut import Read

S = TypeVar("S", bound=ServiceSettings)
R = TypeVar("R")
Hook = Callable[[], Awaitable[None]]


class App(Generic[S]):
    """One service process being put together; ``compose(app)`` fills it."""

    def __init__(self, name: str, settings: S, stack: AsyncExitStack) -> None:
        self.name = name
        self.settings = settings
        self.stack = stack
        self.clock = _clock_of(settings)
        self.stopping = asyncio.Event()
        """Set when the service begins to drain: streams end then."""
        self.user_keys: KeySource | None = None
        """Accounts only: its own keys in place of those fetched from accounts."""
        self._revoked: RevocationMirror | None = None
        self.registrations: dict[str, list[Registration]] = {}
        self.tasks: list[tuple[str, Hook]] = []
        self.warmers: list[Hook] = []
        self.drainers: list[Hook] = []
        self.reads: dict[str, dict[str, Read]] = {}
        self._gone_after: dict[str, float] = {}
        if settings.listen is not None:
            self.registrations[settings.listen] = []  # health, even if nothing else

    async def enter(self, resource: AbstractAsyncContextManager[R]) -> R:
        """Opens a resource; it is closed at the end, in reverse order."""
        return await self.stack.enter_async_context(resource)

    async def revoked(self) -> RevocationMirror:
        """The ended sessions, mirrored once per process by ``standard_auth``."""
        if self._revoked is None:
            redis = await self.enter(open_redis(self.settings.activity_redis_url, app=self.name))
            self._revoked = RevocationMirror(redis, clock=self.clock)
        return self._revoked

    def serve(
        self,
        add: AddServicer,
        servicer: object,
        *,
        listen: str | None = None,
        policy: Policy | None = None,
        gone_after_seconds: float | None = None,
    ) -> None:
        """Serves a servicer, on the main port or on an extra one. ``policy`` for foreign protos.

        ``gone_after_seconds``: a client of this port that is silent for so long is gone.
        """
        where = listen or self.settings.listen
        if where is None:
            raise SettingsFault(["EROS_LISTEN: is not set"])
        registration = Registration(add, servicer, policy=policy)
        self.registrations.setdefault(where, []).append(registration)
        if gone_after_seconds is not None:
            self._gone_after[where] = gone_after_seconds

    def serve_reads(self, listen: str, reads: Mapping[str, Read]) -> None:
        """Serves printed answers to the gateway, by full method path (``eros_common.shortcut``)."""
        for path in reads:
            policy = policy_of(method_descriptor(path))
            if policy is None or not policy.cached or policy.access is not Access.USER:
                raise ValueError(f"{path} is declared neither for people nor as cached")
        self.reads.setdefault(listen, {}).update(reads)

    def background(self, name: str, run: Hook) -> None:
        """Runs for ever beside the requests; its end is the service's end."""
        self.tasks.append((name, run))

    def on_warm(self, hook: Hook) -> None:
        """Awaited after the background tasks started and before SERVING."""
        self.warmers.append(hook)

    def on_drain(self, hook: Hook) -> None:
        """Awaited after NOT_SERVING and before the servers stop, within the grace."""
        self.drainers.append(hook)

    def channel(
        self, target: str, audience: str, *, anonymous: bool = False, retry: bool = True
    ) -> grpc.aio.Channel:
        """A channel to the service ``audience``, closed at the end."""
        channel = self._open(target, audience, anonymous=anonymous, retry=retry)
        self.stack.push_async_callback(channel.close)
        return channel

    def each_address(self, target: str, audience: str) -> EachAddress:
        """A channel to every replica of the service ``audience``, closed at the end. Nothing is
        tried again: another replica's answer would not do."""
        found = EachAddress(
            resolver(target), lambda address: self._open(address, audience, retry=False)
        )
        self.stack.push_async_callback(found.close)
        return found

    def _open(
        self, target: str, audience: str, *, retry: bool, anonymous: bool = False
    ) -> grpc.aio.Channel:
        return open_channel(
            target,
            audience=audience,
            identity=None if anonymous else self.identity,
            timeout_seconds=self.settings.call_timeout_seconds,
            ping_seconds=self.settings.client_ping_seconds,
            max_message_bytes=self.settings.max_message_bytes,
            retry=retry,
        )

    @cached_property
    def identity(self) -> ServiceIdentity:
        """Who we are towards other services."""
        path = self.settings.service_key_file
        if path is None:
            raise SettingsFault(["EROS_SERVICE_KEY_FILE: is not set"])
        try:
            return ServiceIdentity.from_file(self.name, path, clock=self.clock)
        except ValueError as error:
            raise SettingsFault([f"EROS_SERVICE_KEY_FILE: {error}"]) from None

    def accesses(self) -> frozenset[Access]:
        """Every kind of access that what is served asks for."""
        return frozenset(
            policy.access
            for registrations in self.registrations.values()
            for registration in registrations
            for policy in registration.policies.values()
        )

    def server_options(self, listen: str) -> ServerOptions:
        settings = self.settings
        is_main = listen == settings.listen
        return ServerOptions(
            client_ping_seconds=settings.client_ping_seconds,
            max_message_bytes=settings.max_message_bytes,
            # An extra port carries streams of one peer (Envoy's access log), cut for no gain.
            max_connection_age_seconds=settings.max_connection_age_seconds if is_main else 0.0,
            default_timeout_seconds=settings.call_timeout_seconds,
            gone_after_seconds=self._gone_after.get(listen),
        )


def _clock_of(settings: BaseSettings) -> Clock:
    return settings.clock() if isinstance(settings, NightSettings) else SystemClock()
