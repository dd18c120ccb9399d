"""The controller of a roll-out: runs reconcilers within waves, limits, hours and the failure budget."""
