"""The model card: what a checkpoint is made of, and on what terms."""
