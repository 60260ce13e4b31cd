"""Head runs: train only the head, on stored vectors, and keep it if it beats the rotation."""
