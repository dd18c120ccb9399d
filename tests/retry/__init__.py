"""The retry layer."""
