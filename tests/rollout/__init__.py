"""Tests of fleet roll-outs."""
