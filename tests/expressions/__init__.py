"""Expressions: what is read, what is refused, and what is never true."""
