"""Fit rotations of embeddings in closed form, and select one by cross-validation over speakers."""
