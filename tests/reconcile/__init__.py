"""Tests of `_reconcile`: both ways to bring applications to a WorkSpace, held to one meaning of "deployed"."""
