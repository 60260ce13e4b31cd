"""Placeholder; written next."""


def eval_command() -> None:
    """Come next."""
