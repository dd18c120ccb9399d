"""Tests of `pytest_plugin`: run by pytest in processes of its own."""
