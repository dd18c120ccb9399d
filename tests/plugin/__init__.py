"""The pytest plugin, run by pytest in processes of its own."""
