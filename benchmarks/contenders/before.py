"""workspaces-apps as it was at an earlier commit, installed from its wheel: the same calls as `ours`."""

from benchmarks.contenders.ours import connected

__all__ = ["connected"]
