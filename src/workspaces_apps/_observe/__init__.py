"""Shared reads of what changes by itself: one observer per client, which every wait, job and roll-out subscribes to."""
