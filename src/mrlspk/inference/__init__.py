"""Embed recordings at speed: backends, batching, caching, and resolving a model's name to its file."""
