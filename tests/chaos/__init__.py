"""The fault campaign: the real client against the simulator, while everything goes wrong at random."""
