"""The compute child: one process that computes in small, stoppable chunks."""
