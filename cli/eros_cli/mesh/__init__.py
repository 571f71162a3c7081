"""The mesh on one machine: servers and services, started, watched and stopped together.

Nothing is imported here: `eros_cli.mesh.mesh` brings in gRPC, Redis and cryptography, which
`./eros --help` should not wait for.
"""
