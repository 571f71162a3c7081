"""Identity: who calls, how tokens are verified, and how this service shows who it is."""

from __future__ import annotations

from eros_common.auth.authenticator import Authenticator
from eros_common.auth.context import (
    ADMIN,
    CONSOLE_SECONDS,
    UserIdentity,
    current_service,
    current_user,
)
from eros_common.auth.identity import ServiceIdentity
from eros_common.auth.keys import FileKeys, KeySource, RemoteKeys, StaticKeys
from eros_common.auth.revocation import RevocationMirror, Revocations
from eros_common.auth.tokens import ServiceTokens, UserTokens

__all__ = [
    "ADMIN",
    "CONSOLE_SECONDS",
    "Authenticator",
    "FileKeys",
    "KeySource",
    "RemoteKeys",
    "RevocationMirror",
    "Revocations",
    "ServiceIdentity",
    "ServiceTokens",
    "StaticKeys",
    "UserIdentity",
    "UserTokens",
    "current_service",
    "current_user",
]
