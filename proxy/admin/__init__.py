"""The other listeners: health and metrics without identities, and the admin API behind a token."""
