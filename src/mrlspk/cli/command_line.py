"""The command that is running, as a user would type it again."""

import shlex
from collections.abc import Iterator
from typing import Any

import typer

UNTOLD = {"as_json", "quiet", "debug", "report", "scores", "force"}  # they change what is shown or written, no figure


def typed_command(context: typer.Context, **defaults: str) -> str:
    """Return the command with every argument and option that was given.

    Args:
        context: Of the command.
        defaults: Arguments that were not given, by name, and what was taken in their place.
    """
    words = [*context.command_path.split()[1:]]
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        given = source is not None and source.name == "COMMANDLINE"
        if name in UNTOLD or not (given or name in defaults):
            continue
        values = context.params[name] if given else defaults[name]
        words += _words(parameter, values if isinstance(values, list | tuple) else [values])
    return shlex.join(["mrlspk", *words])


def _words(parameter: Any, values: Any) -> Iterator[str]:
    for value in values:
        if parameter.param_type_name == "argument":
            yield str(value)
        elif getattr(parameter, "is_flag", False):
            yield parameter.opts[0]
        else:
            yield from (parameter.opts[0], str(value))
