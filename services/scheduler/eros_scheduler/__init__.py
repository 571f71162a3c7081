"""Scheduler: decides what is worked on, for whom, and when it stops."""
