"""Define commands and groups whose help is a plain page of panels."""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from mrlspk.cli import output
from mrlspk.cli.help_page import help_page, summary
from mrlspk.cli.usage_errors import unknown_command, usage_errors


class HelpCommand(TyperCommand):
    """A command."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(help_page(self, ctx))

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002 - a shell shows whole lines
        """Return the summary, for completion."""
        return summary(self)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words after the name of the command."""
        with usage_errors(ctx):
            return super().parse_args(ctx, args)


class HelpGroup(TyperGroup):
    """A group of commands, which shows its help if none is named."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(help_page(self, ctx))

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002 - a shell shows whole lines
        """Return the summary, for completion."""
        return summary(self)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what stands before the name of a command; without any word show the help and exit 0."""
        if not args and not ctx.resilient_parsing:
            output.line(ctx.get_help())
            raise typer.Exit
        for each in self.get_params(ctx):
            if each.default is None:  # of which typer makes a bool with pydantic, whose import --help has no time for
                each.default = False
        with usage_errors(ctx):
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command that the first word names, and the words after it.

        Raises:
            UsageError: If no command has this name.
        """
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            raise unknown_command(args[0], ctx)
        return super().resolve_command(ctx, args)


class Commands(typer.Typer):
    """An application of `HelpCommand` and `HelpGroup`.

    Args:
        settings: Of ``typer.Typer``, such as ``name`` and ``help``.
    """

    def __init__(self, **settings: Any) -> None:
        group = {"cls": HelpGroup, "rich_markup_mode": None, "pretty_exceptions_enable": False} | settings
        super().__init__(**group, context_settings={"help_option_names": ["-h", "--help"]})

    def command[T: Callable[..., Any]](self, name: str | None = None, **settings: Any) -> Callable[[T], T]:
        """Return a decorator that adds a function as a command."""
        return super().command(name, **{"cls": HelpCommand} | settings)
