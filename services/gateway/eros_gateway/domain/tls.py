"""TLS towards clients, where the settings name a certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from eros_gateway.domain.json import Json, extension

# RFC 9325, 4.2: forward secrecy and authenticated encryption only; TLS 1.3 brings its own.
_CIPHERS: Final = (
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]",
    "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)


def transport_socket(certificate: Path | None, key: Path | None) -> Json:
    """Of the public listener's filter chain; None for plain text, where something in front ends
    TLS. The files are read when Envoy starts."""
    if certificate is None or key is None:
        return None
    pair = {
        "certificate_chain": {"filename": str(certificate)},
        "private_key": {"filename": str(key)},
    }
    context = extension(
        "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_2",
                "cipher_suites": list(_CIPHERS),
            },
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificates": [pair],
        },
    )
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}
