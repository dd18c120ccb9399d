"""The command line, in this process and as one of its own."""
