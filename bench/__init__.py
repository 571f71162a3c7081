"""Benchmarks: each module has `run() -> dict` for `./eros bench NAME [--json]`."""
