"""Pooled vectors computed once and stored, for heads that are trained on a frozen backbone."""
