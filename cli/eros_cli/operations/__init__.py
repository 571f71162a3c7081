"""What whoever runs EROS does: look from outside, make keys, back up, restore, soak."""
