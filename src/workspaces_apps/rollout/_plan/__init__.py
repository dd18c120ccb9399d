"""The comparison of a manifest with a fleet: reading, catalogue, compatibility, plan."""
