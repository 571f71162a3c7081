"""Prepares a checkout before anything is installed; standard library only."""
