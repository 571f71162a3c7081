"""`eros run` and `eros night`: one accelerated night, watched."""
