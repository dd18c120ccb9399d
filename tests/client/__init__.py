"""Tests of `_client`: how a client is set up, its life, misuse, listings, and who traces its calls; over real HTTP."""
