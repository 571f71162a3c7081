"""Envoy's access-log stream to signs of life, nothing else.

The gateway stamps each entry's dynamic metadata, namespace ``eros``: ``user``, ``background``,
``boot``, ``worker`` and ``seq`` (its stamp.lua says when). Where it answered itself there is a
``session`` too: of one that has ended, that is no sign of life. An entry without a number is one
whose response never began; it is a sign of life all the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Container
from typing import Any

from envoy_als import als_pb2, als_pb2_grpc
from envoy_als.als_pb2 import HTTPAccessLogEntry

from eros_activity.access_logs import AccessLogs
from eros_activity.domain.gaps import Source
from eros_activity.domain.people import Interaction, UserKey
from eros_common import logging
from eros_common.clocks import Clock

log = logging.get("activity.als")

NAMESPACE = "eros"
_TRACEPARENT = 55
"""The length of a W3C ``traceparent``."""
_RECORDED = ("9", "a", "b")
"""Chosen by chance, by Envoy's configuration, by a client."""


class AccessLogServicer(als_pb2_grpc.AccessLogServiceServicer):
    """``envoy.service.accesslog.v3.AccessLogService``."""

    def __init__(self, logs: AccessLogs, clock: Clock, revoked: Container[str]) -> None:
        self._logs = logs
        self._clock = clock
        self._revoked = revoked

    async def StreamAccessLogs(self, request_iterator: AsyncIterator[Any], context: Any) -> Any:
        async with self._logs.reading() as reader:
            async for message in request_iterator:
                await reader.take(*meaning(message, self._clock, self._revoked))
        return als_pb2.StreamAccessLogsResponse()


def meaning(
    message: als_pb2.StreamAccessLogsMessage, clock: Clock, revoked: Container[str] = frozenset()
) -> tuple[list[Interaction], dict[Source, list[int]]]:
    """The signs of life in a part of a log, and the numbers of its entries by source."""
    wall, now, rate = clock.wall().timestamp(), clock.night().timestamp(), clock.rate
    interactions: list[Interaction] = []
    numbers: dict[Source, list[int]] = {}
    for entry in message.http_logs.log_entry:
        properties = entry.common_properties
        stamp = properties.metadata.filter_metadata[NAMESPACE].fields
        number = int(stamp["seq"].number_value)
        if number:
            source = Source(stamp["boot"].string_value, stamp["worker"].string_value)
            numbers.setdefault(source, []).append(number)
        user = _user(stamp["user"].string_value)
        if user is None or stamp["background"].bool_value:
            continue
        if stamp["session"].string_value in revoked:
            continue
        start = properties.start_time
        # By two machines' clocks a request may arrive in the future.
        arrived = min(start.seconds + start.nanos / 1e9 or wall, wall)
        interactions.append(
            Interaction(user, now - (wall - arrived) * rate, arrived, _traced(entry))
        )
    return interactions, numbers


def _traced(entry: HTTPAccessLogEntry) -> str:
    """The ``traceparent`` of a request that is recorded: from the header that went to a service or,
    of what Envoy answered itself, from a tag."""
    trace = entry.request.request_headers.get("traceparent", "")
    if not trace and (tag := entry.common_properties.custom_tags.get("trace", "")):
        # Envoy marks its request ids where a UUID has its version.
        trace = f"{tag}-01" if entry.request.request_id[14:15] in _RECORDED else ""
    # The last two digits say whether it is recorded.
    return trace if len(trace) == _TRACEPARENT and trace.endswith("1") else ""


def _user(text: str) -> UserKey | None:
    if not text:
        return None
    try:
        user = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        user = b""
    if len(user) != 16:
        log.warning("entry_without_user", user=text[:64])
        return None
    return UserKey(user)
