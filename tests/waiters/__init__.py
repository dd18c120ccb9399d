"""Tests of `_waiters`: waits and jobs, against the simulator in simulated time."""
