"""What the compute child runs for each kind of job."""
