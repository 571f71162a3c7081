"""What docs/deployment.md tells an operator to set is what the commands ask for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.options import Part
from eros_cli.operator import operator_channel, running_environment
from eros_cli.paths import CHECKOUT

DOCS = CHECKOUT / "docs"


def _told() -> dict[str, str]:
    """The variables of the page."""
    page = (DOCS / "deployment.md").read_text()
    section = page[page.index("## As the operator") :]
    section = section[: section.index("\n## ", 1)]
    lines = re.findall(r"^export (.*)$", section, re.MULTILINE)
    return dict(each.split("=", 1) for line in lines for each in line.split())


async def test_what_the_page_says_is_all_that_is_needed(tmp_path: Path) -> None:
    told = _told()
    key = tmp_path / "operator.pem"
    key.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
    )
    told["EROS_SERVICE_KEY_FILE"] = str(key)
    environment = running_environment(told)
    for service in (Part.ACCOUNTS, Part.SCHEDULER):
        await operator_channel(environment, service).close()
    for variable in told:
        rest = {name: value for name, value in told.items() if name != variable}
        service = Part.ACCOUNTS if "ACCOUNTS" in variable else Part.SCHEDULER
        with pytest.raises(MeshError, match=variable):
            operator_channel(rest, service)


def test_each_runbook_that_needs_the_operator_says_how() -> None:
    pages = [page.read_text() for page in (DOCS / "runbooks").glob("*.md")]
    needing = [page for page in pages if re.search(r"\./eros (jobs|admin)", page)]
    assert len(needing) >= 3
    assert all("deployment.md#as-the-operator" in page for page in needing)
