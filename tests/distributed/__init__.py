"""Tests of `distributed` and of the stores of `rollout._journal`: PostgreSQL, S3 from moto's server, workers as processes."""
