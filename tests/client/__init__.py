"""The client: one call, its errors, its retries, and what it is set up with."""
