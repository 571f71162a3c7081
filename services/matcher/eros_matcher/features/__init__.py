"""From a profile to numbers: traits, taste, biases. Deterministic and versioned."""
