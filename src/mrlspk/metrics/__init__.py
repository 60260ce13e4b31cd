"""Compute metrics from scores: arrays in, numbers out."""
