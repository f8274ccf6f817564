"""What is derived from how and what was asked. Pure: no I/O, no clock, no secrets."""
