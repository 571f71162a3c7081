"""What matching is about, without any I/O."""
