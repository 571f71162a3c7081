"""Production's images by digest, from what the build said it pushed.

`docker buildx build --push --metadata-file FOLDER/NAME.json` leaves one file an image with its name
and digest: the digest of what is in the registry, which nothing but a push can tell.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from eros_cli.mesh.faults import MeshError

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_ENTRY: Final = re.compile(
    r"(?P<head>  - name: (?P<name>eros/[a-z-]+)\n)    newName: \S+\n    digest: \S+\n"
)
#: What runs the migrations, and the name that its job has in this release: no job can be changed.
_MIGRATIONS: Final = "eros/migrations"
_JOB: Final = re.compile(r"(?P<head>path: /metadata/name, value: migrations-)[0-9a-f]{12}\b")


@dataclass(frozen=True, slots=True)
class Pushed:
    """An image in a registry: its name without a tag, and its digest."""

    repository: str
    digest: str


def read_pushed(folder: Path, images: tuple[str, ...]) -> dict[str, Pushed]:
    """By the name in the manifests. Raises MeshError unless all of them are there."""
    found = {image: _pushed(folder / f"{image.partition('/')[2]}.json") for image in images}
    zeros = [image for image, one in found.items() if set(one.digest[7:]) == {"0"}]
    if zeros:
        raise MeshError(f"no image has this digest: {', '.join(zeros)}")
    return found


def images_of(kustomization: Path) -> tuple[str, ...]:
    """The names that the manifests use. Raises MeshError."""
    names = tuple(match["name"] for match in _ENTRY.finditer(kustomization.read_text("utf-8")))
    if not names:
        raise MeshError(f"{kustomization} names no images by digest")
    return names


def write_digests(kustomization: Path, pushed: dict[str, Pushed]) -> None:
    """Puts them into the overlay, names the migrations' job after its image, and leaves everything
    else as it is. Raises MeshError."""

    def entry(match: re.Match[str]) -> str:
        one = pushed[match["name"]]
        return f"{match['head']}    newName: {one.repository}\n    digest: {one.digest}\n"

    text = _ENTRY.sub(entry, kustomization.read_text("utf-8"))
    named = pushed[_MIGRATIONS].digest.removeprefix("sha256:")[:12]
    text, jobs = _JOB.subn(rf"\g<head>{named}", text)
    if jobs != 1:
        raise MeshError(f"{kustomization} gives the migrations' job no name of its own")
    written = {
        one["name"]: Pushed(one.get("newName", ""), one.get("digest", ""))
        for one in yaml.safe_load(text)["images"]
    }
    if written != pushed:
        raise MeshError(f"{kustomization} has images that are written in another way")
    draft = kustomization.with_name(f".{kustomization.name}.new")
    draft.write_text(text, "utf-8")
    draft.replace(kustomization)


def _pushed(file: Path) -> Pushed:
    try:
        data: dict[str, Any] = json.loads(file.read_text("utf-8"))
        name, digest = str(data["image.name"]), str(data["containerimage.digest"])
    except OSError as error:
        raise MeshError(f"{file}: {error.strerror}; was this image built?") from None
    except (ValueError, TypeError, KeyError) as error:
        raise MeshError(f"{file} is no metadata file of a pushed image: {error!r}") from None
    if _DIGEST.fullmatch(digest) is None:
        raise MeshError(f"{file}: {digest!r} is no digest")
    # Several tags of one push are one image; a port is no tag.
    repository = re.sub(r":[^:/]+$", "", name.split(",", maxsplit=1)[0].partition("@")[0])
    if not re.fullmatch(r"[a-z0-9.:/_-]+", repository):
        raise MeshError(f"{file}: {name!r} is no image's name")
    return Pushed(repository, digest)
