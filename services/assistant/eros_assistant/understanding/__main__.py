"""Trains the head: `python -m eros_assistant.understanding [FILE]`; without one, where the service
looks for it."""

from __future__ import annotations

import sys
from pathlib import Path

from eros_assistant.understanding.trained import default_folder, fingerprint, train_to


def main() -> None:
    if len(sys.argv) > 1:
        path = Path(sys.argv[1])
    else:
        path = default_folder() / f"intents-{fingerprint()}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
    train_to(path)
    print(path, file=sys.stderr)


if __name__ == "__main__":
    main()
