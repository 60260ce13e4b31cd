"""Find the speech of a recording."""
