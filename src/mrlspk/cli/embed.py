"""Placeholder; written next."""


def embed_command() -> None:
    """Come next."""
