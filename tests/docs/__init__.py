"""Tests of the pages and of the site: every block runs, and the reference leaves no public name out."""
