"""Evaluate models on trial lists: score, calibrate, compare and report at every width."""
