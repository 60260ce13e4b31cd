"""Placeholder; written next."""


def gpu_profile_command() -> None:
    """Come next."""
