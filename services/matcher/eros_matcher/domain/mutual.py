"""People who like each other, page by page. Pure."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from eros_common.ids import UserId

DEFAULT_PAGE: Final = 20
_PLACE: Final = struct.Struct(">q16s")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """Somebody whom a person likes and who likes them. ``since`` is when it became mutual;
    ``match_id`` is the match by which the person said so."""

    other_id: UserId
    since: datetime
    match_id: UUID | None

    @property
    def token(self) -> str:
        """Names the place behind this pair, for the next page."""
        packed = _PLACE.pack((self.since - _EPOCH) // _MICROSECOND, self.other_id.bytes)
        return base64.urlsafe_b64encode(packed).decode()


@dataclass(frozen=True, slots=True)
class After:
    """A place in the list, which is ordered by ``since``, the latest first, then by id."""

    since: datetime
    other_id: UserId


def parse_token(token: str) -> After:
    """The place that a token names; ``ValueError`` if it names none."""
    try:
        microseconds, other = _PLACE.unpack(base64.b64decode(token, altchars=b"-_", validate=True))
        return After(_EPOCH + microseconds * _MICROSECOND, UserId(UUID(bytes=other)))
    # A text that is not ASCII is a ValueError too, as is binascii.Error.
    except (ValueError, struct.error, OverflowError):
        raise ValueError("is no page token") from None
