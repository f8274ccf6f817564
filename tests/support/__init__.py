"""What tests stand on: real processes and scriptable peers."""
