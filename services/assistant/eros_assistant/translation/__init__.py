"""Translation: engines behind a port, and what is no language kept out of their reach."""
