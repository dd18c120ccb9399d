"""Tests of `rollout`: manifests, plans, applies, journals and crashes, against the simulator in simulated time."""
