"""Placeholder; written next."""


def compare_command() -> None:
    """Come next."""
