"""The `excise` command: one file a sub-command."""
