"""Tests of `_observe`: shared reads and polls, against the simulator and by properties."""
