"""The waiters."""
