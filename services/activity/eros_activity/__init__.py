"""Activity: who is awake, who sleeps, and since when."""
