"""The trained head on disk: made once from the phrases of this version, by a process of its own.

Training takes seconds and some 300 MB, and the service should have neither at every start. An
image makes the file when it is built (`python -m eros_assistant.understanding`); elsewhere the
first start does.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np

from eros_assistant.domain.intents import Intent
from eros_assistant.understanding.concepts import Concepts
from eros_assistant.understanding.features import Features
from eros_assistant.understanding.head import Head, train
from eros_assistant.understanding.phrases import Phrase, training_phrases
from eros_assistant.understanding.vectors import SentenceVectors
from eros_assistant.understanding.words import first_names, without_quotes
from eros_common import logging

log = logging.get("assistant.understanding")

TRAINING_SECONDS: Final = 240.0
_CODE: Final = ("concepts", "features", "head", "phrases", "trained", "vectors", "words")


def trained_head(folder: Path | None) -> Head:
    """The head of this version, from `folder` (None: the user's cache), made there if need be."""
    chosen = folder or default_folder()
    path = chosen / f"intents-{fingerprint()}.npz"
    found = _read(path)
    if found is not None:
        return found
    log.info("training", file=str(path))
    try:
        chosen.mkdir(parents=True, exist_ok=True)
        # Said before the seconds of training: the other process's failure is no OSError.
        with tempfile.TemporaryFile(dir=chosen):
            _train_apart(path)
        found = _read(path)
    except OSError as error:
        log.warning("cannot_keep", file=str(path), error=str(error))
        found = None
    if found is not None:
        return found
    # Nowhere to keep it (a read-only file system): it is made for this process only.
    with tempfile.TemporaryDirectory(prefix="eros-assistant-") as temporary:
        path = Path(temporary) / "intents.npz"
        _train_apart(path)
        found = _read(path)
    if found is None:
        raise RuntimeError("the intents' head was trained and cannot be read")
    return found


def default_folder() -> Path:
    """Below `XDG_CACHE_HOME`, usually ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "eros"


def fingerprint() -> str:
    """Changes with whatever makes another head."""
    digest = hashlib.sha256(version("tokenizers").encode())
    package = resources.files("eros_assistant")
    phrases = package / "data/phrases"
    files = [
        package / "data/concepts.txt",
        package / "data/names.txt",
        *(package / f"understanding/{name}.py" for name in _CODE),
        *sorted(phrases.iterdir(), key=lambda file: file.name),
    ]
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def train_head(
    phrases: list[Phrase], vectors: SentenceVectors | None = None, features: Features | None = None
) -> Head:
    """Trains on these phrases, in this process."""
    vectors = vectors or SentenceVectors.load()
    features = features or Features(Concepts.load(), first_names())
    intents = list(Intent)
    return train(
        vectors.of([without_quotes(phrase.text) for phrase in phrases]),
        [features.of(phrase.text) for phrase in phrases],
        np.array([intents.index(phrase.intent) for phrase in phrases]),
        len(intents),
    )


def train_to(path: Path) -> None:
    """Trains on all phrases and writes the file, whole or not at all."""
    head = train_head(training_phrases())
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        np.savez(
            file,
            of_vectors=head.of_vectors,
            # Half precision changes no answer and halves the file.
            of_features=head.of_features.astype(np.float16),
        )
        # Images are built as root and run as somebody else; a temporary file is its maker's alone.
        os.fchmod(file.fileno(), 0o644)
    Path(file.name).replace(path)


def _train_apart(path: Path) -> None:
    # One thread: on a busy machine more of them spend their time waiting for each other.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "eros_assistant.understanding", str(path)],
        env=environment,
        check=True,
        timeout=TRAINING_SECONDS,
        stdin=subprocess.DEVNULL,
    )


def _read(path: Path) -> Head | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return Head(
                file["of_vectors"].astype(np.float32), file["of_features"].astype(np.float32)
            )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError) as error:
        # Cut short or foreign: it is made again.
        log.warning("unreadable", file=str(path), error=repr(error))
        return None
