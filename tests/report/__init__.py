"""Tests of the report of a roll-out."""
