"""Check a corpus: every problem with its kind, its place and its remedy."""
