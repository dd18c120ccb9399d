"""Journals in shared stores, and roll-outs on several machines."""
