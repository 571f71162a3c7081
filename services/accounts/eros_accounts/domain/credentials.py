"""What somebody signs in with."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NewType

Email = NewType("Email", str)
"""An address in the one form in which it is stored and looked up."""

LONGEST_EMAIL: Final = 254
# The form of the HTML standard (https://html.spec.whatwg.org/#valid-e-mail-address), with the
# length of the local part from RFC 5321, 4.5.3.1.1.
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SYNTAX: Final = re.compile(rf"[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*")


def parse_email(text: str) -> Email | None:
    """The address in its stored form, or None if it is none.

    All lower case: no provider in use tells ``Ann@`` from ``ann@``, people do not either.
    """
    lowered = text.strip().lower()
    if len(lowered) > LONGEST_EMAIL or _SYNTAX.fullmatch(lowered) is None:
        return None
    return Email(lowered)


def password_bytes(password: str) -> bytes:
    """What is hashed: the same words typed on another keyboard give the same bytes (RFC 8265,
    4.2.2: NFC)."""
    return unicodedata.normalize("NFC", password).encode()
