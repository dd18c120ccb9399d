"""Tests of `_model` and `api`: every shape, its checks, and every way in and out."""
