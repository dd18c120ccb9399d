"""Tests of `codegen`: the generator, its overrides, and the pages that it writes."""
