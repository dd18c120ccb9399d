"""The shared reads of a client."""
