"""Tests of `rollout.report`: the builder, the forms, and the page, in Chromium where it is installed."""
