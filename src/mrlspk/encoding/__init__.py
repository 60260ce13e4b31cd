"""Audio files to embeddings."""
