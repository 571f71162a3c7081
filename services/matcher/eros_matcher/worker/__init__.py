"""The worker: leases batches, halts people who wake, commits results; never computes."""
