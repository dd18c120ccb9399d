"""Tests of `_retry`: policies, budgets, and what may be repeated, without a network."""
