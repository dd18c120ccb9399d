"""Types as checkers see them: but for `test_checkers` and `test_at_run_time`, the modules here are read by checkers and never run."""
