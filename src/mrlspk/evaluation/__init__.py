"""Trial lists scored: embeddings once, all widths."""
