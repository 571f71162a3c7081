"""Passwords that are guessed first.

`common_passwords.txt` holds the 10,000 commonest of the list of zxcvbn (MIT, see its license beside
it) as the first 8 bytes of their SHA-256, a line each: nothing to read over somebody's shoulder.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator
from typing import Final

DIGEST_BYTES: Final = 8
# What people put around a common word to satisfy a rule.
_TRIMMINGS: Final = "0123456789!?.,-_#*$@ "


class CommonPasswords:
    """Knows the commonest, also in other case, doubled, or with digits and marks around."""

    def __init__(self, digests: str) -> None:
        """``ValueError`` if that is no list of digests."""
        self._digests = frozenset(map(bytes.fromhex, digests.split()))
        if {len(digest) for digest in self._digests} != {DIGEST_BYTES}:
            raise ValueError("is no list of digests")

    def __len__(self) -> int:
        return len(self._digests)

    def __contains__(self, password: object) -> bool:
        if not isinstance(password, str):
            return False
        if len(set(password)) <= 2:
            # One or two characters again and again.
            return True
        return any(
            hashlib.sha256(form.encode()).digest()[:DIGEST_BYTES] in self._digests
            for form in _forms(password)
        )


def _forms(password: str) -> Iterator[str]:
    whole = unicodedata.normalize("NFKC", password).casefold()
    for form in (whole, whole.strip(_TRIMMINGS)):
        yield form
        half = len(form) // 2
        if half and form == form[:half] * 2:
            yield form[:half]
