"""Where a run is, saved and brought back to the step; and the mean of its last checkpoints."""
