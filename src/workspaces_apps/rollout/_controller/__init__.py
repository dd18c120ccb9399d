"""The controller of a roll-out: runs reconcilers within waves, limits, hours and the failure budget, and obeys what is said to it."""
