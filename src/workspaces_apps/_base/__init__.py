"""The ground of the package, below everything but the errors; here, its version."""

VERSION = "0.1.0"
