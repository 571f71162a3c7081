"""Trains the head: `python -m eros_assistant.understanding [FILE or FOLDER]`.

Without one it goes where the service looks for it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from eros_assistant.understanding.trained import default_folder, fingerprint, train_to


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else default_folder()
    if path.suffix != ".npz":
        path.mkdir(parents=True, exist_ok=True)
        path /= f"intents-{fingerprint()}.npz"
    train_to(path)
    print(path, file=sys.stderr)


if __name__ == "__main__":
    main()
