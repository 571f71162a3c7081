"""The whole mesh, over HTTP through Envoy."""
