"""What holds for people, their words and their sessions. Pure: no I/O."""
