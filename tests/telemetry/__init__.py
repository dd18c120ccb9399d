"""Spans, metrics and log fields."""
