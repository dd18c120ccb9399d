"""The ground that every other part stands on: clock, credentials, hooks, text, files, connections."""
