"""Placeholder; written next."""

import typer

data_app = typer.Typer(no_args_is_help=True, help="Come next.")


@data_app.callback()
def data_group() -> None:
    """Come next."""
