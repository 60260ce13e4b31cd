"""A head trained alone, on stored vectors: where it begins, how it is trained, what it has to beat."""
