"""What the assistant is about. Pure."""
