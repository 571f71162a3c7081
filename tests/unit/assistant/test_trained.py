"""The trained head on disk, where somebody else made it and where nothing can be kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from eros_assistant.understanding import trained
from eros_assistant.understanding.head import Head


def test_who_did_not_make_it_can_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image is built as root and run as another."""
    head = Head(np.ones((2, 3), np.float32), np.ones((2, 4), np.float32))
    monkeypatch.setattr(trained, "train_head", lambda _: head)
    trained.train_to(tmp_path / "intents.npz")
    assert (tmp_path / "intents.npz").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["intents.npz"]


def test_where_nothing_can_be_kept_it_is_made_for_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = Head(np.ones((2, 3), np.float32), np.ones((2, 4), np.float32))
    monkeypatch.setattr(trained, "train_head", lambda _: head)
    trained.train_to(tmp_path / "intents.npz")
    asked: list[Path] = []

    def train_apart(path: Path) -> None:
        asked.append(path)
        shutil.copy(tmp_path / "intents.npz", path)

    monkeypatch.setattr(trained, "_train_apart", train_apart)
    # No file can be made there, by root neither.
    found = trained.trained_head(Path("/proc/self"))
    assert found.of_vectors.shape == (2, 3)
    assert [path.parent.exists() for path in asked] == [False]
