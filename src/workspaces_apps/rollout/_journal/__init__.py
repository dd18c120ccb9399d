"""Stores of journals, and the format on disk."""
