"""A night in fast motion: the real cores of scheduler and worker on the memory store, with time,
network and chance injected, and a judge that watches every step.

`run.py` is the door. Time is seconds since the start of the simulation, a float; nothing sleeps.
"""
