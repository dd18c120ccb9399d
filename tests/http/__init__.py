"""Tests of `_http`, of text and connections in `_base`: one call over real HTTP, and what goes wrong with it."""
