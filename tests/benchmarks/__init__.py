"""Tests of `benchmarks`: the parts that can be wrong without anybody noticing."""
