"""Prints the part of requirements.lock that one image needs: `select.py NAME > lock`."""

import sys
from pathlib import Path


def select(lock: str, names: set[str]) -> str:
    """The blocks (a pinned package and its hashes) of these packages."""
    kept, keeping = [], False
    for line in lock.splitlines(keepends=True):
        if line[:1].isalnum():
            keeping = line.split("==")[0].strip().lower() in names
        if keeping:
            kept.append(line)
    return "".join(kept)


if __name__ == "__main__":
    here = Path(__file__).parent
    # In an image's build the lock lies beside this file.
    lock = next(
        p for p in (here / "requirements.lock", here.parent / "requirements.lock") if p.exists()
    )
    names = (here / f"{sys.argv[1]}.txt").read_text().split()
    sys.stdout.write(select(lock.read_text(), set(names)))
