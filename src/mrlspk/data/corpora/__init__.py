"""Known corpora, one a file."""
