"""The console: the night, watched in a browser."""
