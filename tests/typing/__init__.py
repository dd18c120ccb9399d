"""The types that checkers see. But for `test_checkers`, the modules here are read by them and never run."""
