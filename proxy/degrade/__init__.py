"""What `degrade` does to requests and replies, dialect by dialect. Pure: bytes in, bytes out."""
