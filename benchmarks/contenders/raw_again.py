"""The same as `raw`: how far two equal contenders are apart is the noise of the machine."""

from benchmarks.contenders.raw import connected

__all__ = ["connected"]
