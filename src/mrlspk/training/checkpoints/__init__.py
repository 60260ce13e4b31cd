"""Save, resume and average the checkpoints of a run."""
