"""Shared counters: the operations in `protocol.py`, and the stores that carry them out."""
