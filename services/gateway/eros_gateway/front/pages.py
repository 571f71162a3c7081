"""The contract as a document and as a page, made once."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from importlib import resources
from typing import Final, Self

from eros_gateway.domain.openapi import document

_INLINE: Final = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pages:
    """``policy`` is the page's Content-Security-Policy: its own script and style, nothing else."""

    openapi: bytes
    docs: bytes
    policy: str

    @classmethod
    def of(cls, descriptors: bytes) -> Self:
        """``ContractFault`` where the descriptors cannot be served."""
        openapi = document(descriptors)
        page = (resources.files("eros_gateway.front") / "docs.html").read_text(encoding="utf-8")
        return cls(json.dumps(openapi).encode(), page.encode(), _policy(page))


def _policy(page: str) -> str:
    allowed: dict[str, list[str]] = {"script": [], "style": []}
    for kind, text in _INLINE.findall(page):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        allowed[kind].append(f"'sha256-{digest}'")
    sources = "; ".join(f"{kind}-src {' '.join(hashes)}" for kind, hashes in allowed.items())
    return f"default-src 'none'; connect-src 'self'; {sources}; frame-ancestors 'none'"
