"""Tests of the pages and of the site: every block runs, every figure has its table, and no public name is left out."""
