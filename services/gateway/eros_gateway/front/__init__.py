"""The gateway's own small gRPC service, behind Envoy: health, the contract as a document."""
