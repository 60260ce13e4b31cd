"""Training runs: plan, state, run and fit, with their checkpoints and logs."""
