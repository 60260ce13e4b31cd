"""Placeholder; written next."""


def train_command() -> None:
    """Come next."""
