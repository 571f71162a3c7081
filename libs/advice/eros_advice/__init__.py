"""Advice on dating as data and pure functions: the library, ice-breakers, profile reviews.

Used by the assistant by day and by the worker's `prepare` by night; it does no I/O but reading its
own files.
"""
