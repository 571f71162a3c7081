"""What activity means, without I/O."""
