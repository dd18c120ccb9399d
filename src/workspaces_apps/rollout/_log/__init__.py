"""The record of a roll-out: events, the log that takes them in, and what is folded from them."""
