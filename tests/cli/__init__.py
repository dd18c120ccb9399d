"""Tests of `cli`: the command line, in this process and as one of its own, against the simulator."""
