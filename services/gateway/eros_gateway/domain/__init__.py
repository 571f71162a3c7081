"""From the contract to Envoy's configuration: pure functions, no I/O."""
