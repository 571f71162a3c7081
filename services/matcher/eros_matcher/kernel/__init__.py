"""The part of scoring that BLAS leaves, compiled ahead of time to machine code."""
