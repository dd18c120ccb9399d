"""Tests of `_base`: clocks, the collector, and tasks of their own; text and connections are tested in `tests/http`."""
