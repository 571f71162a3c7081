"""Everybody in the market, as columns: one file a host, mapped by all who compute."""
