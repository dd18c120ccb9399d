"""Spans and metrics: a port that the whole package reports through, and OpenTelemetry behind it where it is installed."""
