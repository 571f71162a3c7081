"""A language model behind a port: optional, bounded, never trusted with more than words."""
