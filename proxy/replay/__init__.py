"""Recorded traffic through the real line, in virtual time: no listener, no upstream, nothing sleeps."""
