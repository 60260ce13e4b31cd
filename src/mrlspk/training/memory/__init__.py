"""Measure or predict the GPU memory of a run, and choose the batch that fits."""
