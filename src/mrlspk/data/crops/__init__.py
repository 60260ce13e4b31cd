"""Training crops: cut and augment them, order them, and load them in batches by worker processes."""
