"""Store voices in a folder: a database of names and recordings, and memory-mapped arrays of vectors."""
