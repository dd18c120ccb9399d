"""Campaigns: the real client against the simulator, while everything goes wrong at random, by a seed."""
