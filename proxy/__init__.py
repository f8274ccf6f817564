"""Excise: a reverse proxy in front of a model API that makes model extraction expensive."""
