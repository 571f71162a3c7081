"""Reciprocal matching: the API, the worker and the compute child."""
