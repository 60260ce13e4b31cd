"""Scores to numbers: arrays in, numbers out."""
