"""Digests of what was pushed, in the production overlay."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from eros_cli.mesh.faults import MeshError
from eros_cli.operations.release import images_of, read_pushed, write_digests
from eros_cli.paths import CHECKOUT

REGISTRY = "registry.acme.test:5000/eros"
PRODUCTION = CHECKOUT / "k8s/overlays/production/kustomization.yaml"


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    return Path(shutil.copy(PRODUCTION, tmp_path / "kustomization.yaml"))


def digest(name: str) -> str:
    return "sha256:" + f"{len(name):02x}" * 32


def pushed(folder: Path, name: str, **fields: str) -> None:
    data = {
        "image.name": f"{REGISTRY}/{name}:1.2,{REGISTRY}/{name}:1",
        "containerimage.digest": digest(name),
        **fields,
    }
    (folder / f"{name}.json").write_text(json.dumps(data))


def test_every_image_and_nothing_else_is_changed(overlay: Path, tmp_path: Path) -> None:
    before = overlay.read_text()
    images = images_of(overlay)
    assert len(images) == 7
    for image in images:
        pushed(tmp_path, image.partition("/")[2])
    write_digests(overlay, read_pushed(tmp_path, images))
    after = overlay.read_text()
    for one in yaml.safe_load(after)["images"]:
        short = one["name"].partition("/")[2]
        assert one["newName"] == f"{REGISTRY}/{short}"
        assert one["digest"] == digest(short)
    assert "path: /metadata/name, value: migrations-0a0a0a0a0a0a}" in after
    changed = ("    newName:", "    digest:", "      - {op: replace, path: /metadata/name,")
    kept = [line for line in before.splitlines() if not line.startswith(changed)]
    assert [line for line in after.splitlines() if not line.startswith(changed)] == kept


def test_a_job_that_would_have_the_last_releases_name_is_refused(
    overlay: Path, tmp_path: Path
) -> None:
    """Its template cannot be changed: applying it would fail."""
    overlay.write_text(overlay.read_text().replace("value: migrations-", "value: schema-"))
    for image in images_of(overlay):
        pushed(tmp_path, image.partition("/")[2])
    before = overlay.read_text()
    with pytest.raises(MeshError, match="no name of its own"):
        write_digests(overlay, read_pushed(tmp_path, images_of(overlay)))
    assert overlay.read_text() == before


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"containerimage.digest": "sha256:12"}, "is no digest"),
        ({"containerimage.digest": f"sha256:{0:064x}"}, "no image has this digest"),
        ({"image.name": "registry/eros/x\n    evil: 1"}, "is no image's name"),
    ],
)
def test_what_is_wrong_changes_nothing(
    overlay: Path, tmp_path: Path, fields: dict[str, str], said: str
) -> None:
    images = images_of(overlay)
    for image in images[1:]:
        pushed(tmp_path, image.partition("/")[2])
    with pytest.raises(MeshError, match="was this image built"):
        read_pushed(tmp_path, images)
    pushed(tmp_path, images[0].partition("/")[2], **fields)
    with pytest.raises(MeshError, match=said):
        read_pushed(tmp_path, images)
    assert overlay.read_text() == PRODUCTION.read_text()


def test_an_image_by_tag_among_them_is_refused(overlay: Path, tmp_path: Path) -> None:
    text = overlay.read_text()
    start = text.index("    newName: registry.example/eros/activity\n")
    end = text.index("  - name: eros/scheduler\n")
    overlay.write_text(f"{text[:start]}    newTag: latest\n{text[end:]}")
    for image in images_of(overlay):
        pushed(tmp_path, image.partition("/")[2])
    before = overlay.read_text()
    with pytest.raises(MeshError, match="written in another way"):
        write_digests(overlay, read_pushed(tmp_path, images_of(overlay)))
    assert overlay.read_text() == before
    assert [path.name for path in overlay.parent.glob(".*")] == []
