"""ReDimNet (Yakovlev et al. 2024, arXiv:2407.18223)."""
