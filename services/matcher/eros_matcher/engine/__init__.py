"""Reciprocal scoring: who fits whom, near the speed of the machine."""
