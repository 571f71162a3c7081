"""TLS towards clients, where the settings name a certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from eros_gateway.domain.json import Json, Object, extension

# RFC 9325, 4.2: forward secrecy and authenticated encryption only; TLS 1.3 brings its own.
_CIPHERS: Final = (
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]",
    "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)


_NAME: Final = "public"


def transport_socket(secret: Path | None) -> Json:
    """Of the public listener's filter chain; None for plain text, where something in front ends
    TLS. ``secret`` is the file that says where certificate and key are."""
    if secret is None:
        return None
    source = {
        "path_config_source": {
            "path": str(secret),
            "watched_directory": {"path": str(secret.parent)},
        },
        "resource_api_version": "V3",
    }
    context = extension(
        "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_2",
                "cipher_suites": list(_CIPHERS),
            },
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificate_sds_secret_configs": [{"name": _NAME, "sds_config": source}],
        },
    )
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def secret(certificate: Path, key: Path) -> Object:
    """What Envoy's secret discovery reads. It watches the folders of both files: whatever is moved
    into them, as a renewal or a mount's new version is, makes it read them again; new connections
    get the new certificate, and while the two do not fit the old ones go on."""
    pair = {
        "certificate_chain": {"filename": str(certificate)},
        "private_key": {"filename": str(key)},
    }
    found = extension("extensions.transport_sockets.tls.v3.Secret", tls_certificate=pair)
    return {"resources": [found | {"name": _NAME}]}
