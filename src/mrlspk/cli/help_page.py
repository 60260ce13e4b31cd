"""Write the page that ``--help`` shows: usage, text, examples, and options in panels, 80 columns wide."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import Any, NamedTuple

from mrlspk.cli.panels import CommandPanel, Panel

WIDTH = 80
WIDEST_NAME = 26  # characters; the help of a longer name begins on the next line
EXAMPLE = "Example:"  # the paragraph of a docstring that holds lines to type


class Row(NamedTuple):
    """A name, such as ``--dims <dims>``, and what it means."""

    name: str
    text: str


def help_page(command: Any, context: Any) -> str:
    """Return the help of a command or of a group of commands."""
    paragraphs = [part for part in (command.help or "").split("\n\n") if part.strip()]
    lines = example_lines(command.help or "")
    pieces = [
        _usage(command, context),
        *(_wrapped(part, indent="  ") for part in paragraphs if not part.startswith(EXAMPLE)),
        *(["\n".join([EXAMPLE, *(f"  {line}" for line in lines)])] if lines else []),
        *_sections(_commands(command)),
        *_sections(_panels(command, context)),
    ]
    return "\n\n".join(pieces)


def example_lines(text: str) -> list[str]:
    """Return the lines to type in the help of a command."""
    found = [part for part in text.split("\n\n") if part.startswith(EXAMPLE)]
    return [line.strip() for part in found for line in part.splitlines()[1:]]


def summary(command: Any) -> str:
    """Return the first line of the help of a command."""
    return str(command.help or "").partition("\n")[0]


def usage_words(command: Any) -> Iterator[str]:
    """Yield what follows the name of a command: its arguments, the options that it needs, ``[OPTIONS]``."""
    parameters = [each for each in command.params if not getattr(each, "hidden", False)]
    for each in parameters:
        if each.param_type_name == "argument":
            name = (each.metavar or each.name) + ("..." if each.nargs == -1 else "")
            yield name if each.required else f"[{name}]"
    for each in parameters:
        if each.param_type_name == "option" and each.required:
            yield _option_name(each, shortest=True)
    yield "[OPTIONS]"
    if hasattr(command, "commands"):
        yield "COMMAND ..."


def _usage(command: Any, context: Any) -> str:
    return _wrapped(" ".join(usage_words(command)), indent=f"Usage: {context.command_path} ")


def _panels(command: Any, context: Any) -> dict[str, list[Row]]:
    """Return the rows of arguments and options by panel, in the order of the panels."""
    parameters = [each for each in command.get_params(context) if not getattr(each, "hidden", False)]
    panels: dict[str, list[Row]] = {"Arguments": [], **{panel.value: [] for panel in Panel}}
    for each in parameters:
        if each.param_type_name == "argument":
            panels["Arguments"].append(Row(each.metavar or each.name, _parameter_text(each)))
        else:
            name = each.rich_help_panel or Panel.GENERAL.value
            panels[name].append(Row(_option_name(each), _parameter_text(each)))
    return panels


def _commands(command: Any) -> dict[str, list[Row]]:
    """Return the rows of the commands of a group by panel."""
    panels: dict[str, list[Row]] = {panel.value: [] for panel in CommandPanel}
    for name, each in getattr(command, "commands", {}).items():
        panels[each.rich_help_panel or CommandPanel.OTHER.value].append(Row(name, summary(each)))
    return panels


def _option_name(option: Any, *, shortest: bool = False) -> str:
    names = sorted(option.opts, key=len)
    value = "" if option.is_flag else f" {value_name(option)}"
    return (names[0] if shortest else ", ".join(names)) + value


def value_name(parameter: Any) -> str:
    """Return what stands for the value of a parameter, such as ``<dims>`` or ``<auto|torch>``."""
    if parameter.metavar is not None:
        return str(parameter.metavar)
    choices = choice_names(parameter)
    if not choices:
        raise ValueError(f"{parameter.name} needs a metavar")
    return f"<{'|'.join(choices)}>"


def choice_names(parameter: Any) -> list[str]:
    """Return the values that a parameter accepts, if they are words, or nothing."""
    return [_shown(each) for each in parameter.type_descriptor.choices or ()]


def _parameter_text(parameter: Any) -> str:
    """Return the help of a parameter, with its default if the help does not name it."""
    text = str(parameter.help or "")
    if parameter.required and parameter.param_type_name == "option":
        return f"{text} Required."
    is_off = parameter.default is None or parameter.default is False or callable(parameter.default)
    if is_off or not parameter.show_default or "Default:" in text:
        return text
    return f"{text} Default: {_shown(parameter.default)}."


def _shown(value: object) -> str:
    return str(value.value if isinstance(value, Enum) else value)


def _sections(panels: dict[str, list[Row]]) -> Iterator[str]:
    """Yield each panel with its heading; the texts of all panels begin in one column."""
    column = _column(row for rows in panels.values() for row in rows)
    for heading, rows in panels.items():
        if rows:
            yield "\n".join([f"{heading}:", *aligned(rows, column)])


def _column(rows: Iterable[Row]) -> int:
    return max((len(row.name) for row in rows if len(row.name) <= WIDEST_NAME), default=0) + 4


def aligned(rows: Sequence[Row], column: int | None = None) -> Iterator[str]:
    """Yield lines of names and texts, which begin in one column; the text of a long name begins on the next line."""
    column = column or _column(rows)
    for name, text in rows:
        lines = _wrapped(text, indent=" " * column)
        if len(name) + 4 > column:
            yield f"  {name}"
            yield lines
        else:
            yield f"  {name}".ljust(column) + lines.lstrip()


def _wrapped(text: str, *, indent: str) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=" " * len(indent),
        break_on_hyphens=False,
        break_long_words=False,
    )
