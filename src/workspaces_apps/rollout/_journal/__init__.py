"""Stores of journals, the format on disk, and the control record beside a journal."""
