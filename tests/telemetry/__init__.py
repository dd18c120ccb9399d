"""Tests of `_telemetry`: spans, metrics and log fields, with OpenTelemetry's own SDK."""
