"""The scheduler's mind: events in, instructions out. Pure: no I/O, no task, no clock of its own.

`core.py` is the door; `model.py`, `events.py` and `instructions.py` are its vocabulary.
"""
