"""A hostile network and hostile files, in numbers."""
