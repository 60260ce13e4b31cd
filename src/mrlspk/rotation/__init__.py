"""Rotations and transforms of embeddings in closed form: fit them, select one by cross-validation over speakers."""
