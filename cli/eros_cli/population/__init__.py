"""People to fill an empty EROS with: a seeded generator and readers of real data."""
