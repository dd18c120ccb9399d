"""Tests of `_associations`: the state tables, row by row, against what the simulator does."""
