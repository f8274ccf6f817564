"""HTTP in and out: the only folder that touches sockets on a request's behalf."""
