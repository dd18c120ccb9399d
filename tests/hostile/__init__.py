"""Campaigns against the client and against files: a hostile network and hostile content, in numbers, by a seed."""
