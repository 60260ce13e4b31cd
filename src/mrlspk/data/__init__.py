"""Audio, manifests, trials, training samples."""
