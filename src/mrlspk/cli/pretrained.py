"""Placeholder; written next."""

import typer

pretrained_app = typer.Typer(no_args_is_help=True, help="Come next.")


@pretrained_app.callback()
def pretrained_group() -> None:
    """Come next."""
