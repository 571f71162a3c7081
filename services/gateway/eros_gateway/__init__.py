"""The gateway: Envoy, configured from one template and the contract's descriptors."""
