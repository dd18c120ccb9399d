"""Tests of `_pacing`: what is learned from throttles, and who may send when, in virtual time."""
