"""One file a command; each has `register(app)`, which adds it to the CLI."""
