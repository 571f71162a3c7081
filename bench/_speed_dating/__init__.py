"""The engine's own learner and scorer on real decisions of both sides: Columbia speed dating."""
