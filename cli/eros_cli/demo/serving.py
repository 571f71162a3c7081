"""What to type next."""

from __future__ import annotations

from rich.console import Console

_TRIES = (
    ("what the night found", "", "/matches/daily"),
    ("who else", "", "/matches/recommendations?limit=5"),
    ("a sign of life", '-d \'{"appActive":true,"screenOn":true}\' ', "/heartbeat"),
    ("how long idle", "", "/activity/status"),
    ("one's profile", "", "/users/profile"),
)


def print_how_to_try(console: Console, url: str, token: str) -> None:
    """Prints the address, a token good for a quarter of an hour, and lines to copy."""
    console.print(f"\nEROS serves at [bold]{url}/api/v1[/bold] until Ctrl-C. Try:\n")
    # No markup, no wrapping: these lines are copied.
    lines = [f"TOKEN={token}"]
    lines += [
        f"curl -s -H \"authorization: Bearer $TOKEN\" {body}'{url}/api/v1{path}'   # {what}"
        for what, body, path in _TRIES
    ]
    for line in lines:
        console.out(line, highlight=False)
