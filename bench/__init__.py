"""CPU per request and per streamed chunk, side by side in one run."""
