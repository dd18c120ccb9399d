"""The pacing layer."""
