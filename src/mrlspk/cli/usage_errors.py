"""Say in one or two lines what is wrong with a typed command, and what to type instead."""

import difflib
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import typer

from mrlspk.cli import output
from mrlspk.cli.help_page import choice_names, example_lines, value_name
from mrlspk.errors import UsageError, shorten

LARGEST_NAMED = 999_999_999  # a bound beyond it is there only so that numbers stay finite
POSSIBLE = 0.65  # similarity of a misspelt word
COMMON_KEYS = {
    **dict.fromkeys(("epoch", "epochs", "max_epochs"), "num_epochs"),
    **dict.fromkeys(("speech", "corpus", "data", "dataset"), "train_dataset"),
    **dict.fromkeys(("out", "output", "output_dir"), "save_dir"),
    "lr": "learning_rate",
}
WIDTHS = {"--dim": "--dims", "--dims": "--dim"}
WIDTHS_TAKEN = {"--dim": "one width", "--dims": "several widths"}
SPOKEN = {"A": "two recordings (A and B)", "B": "a second recording (B)"}  # of arguments whose name says little
EXTRA = re.compile(r"Got unexpected extra argument\(s\) \((.*)\)", re.DOTALL)


@contextmanager
def usage_errors(context: Any) -> Iterator[None]:
    """Show an error that the parser finds in the words after a command, and exit 2."""
    try:
        yield
    except (typer.TyperException, UsageError) as error:
        found = error if isinstance(error, UsageError) else describe(error, context)
        output.show_error(found)
        raise typer.Exit(found.exit_code) from error


def describe(error: Any, context: Any) -> UsageError:
    """Return an error of the parser in our words."""
    if hasattr(error, "possibilities"):
        return _unknown_option(error.option_name, context)
    if hasattr(error, "option_name"):
        takes = "expected a value" if _takes_value(error.option_name, context) else "takes no value"
        return UsageError(takes, error.option_name, _go_on(context, error.option_name))
    if hasattr(error, "param_type"):
        return UsageError(f"expected {_needed(error.param)}", fix=_go_on(context))
    if isinstance(error, typer.BadParameter) and error.param is not None:
        return UsageError(_wrong_value(error), _names(error.param), _go_on(context, _names(error.param)))
    if extra := EXTRA.fullmatch(error.message):
        what = f"{context.command_path} takes no further argument, got {extra[1]}"
        return UsageError(what + _as_option(extra[1], context), fix=_go_on(context))
    return UsageError(error.message.removesuffix(".").lower(), fix=_go_on(context))


def unknown_command(name: str, context: Any) -> UsageError:
    """Return the error of a name that no command of a group has."""
    near = nearest(name, context.command.commands)
    paths = [(context.command_path, near)] if near else _commands_anywhere(name, context.find_root())
    hint = f"; did you mean {' or '.join(' '.join(path) for path in paths[:2])}?" if paths else ""
    return UsageError(f"no command {context.command_path} {shorten(name)}{hint}", fix=_all_of("commands", context))


def _commands_anywhere(name: str, root: Any) -> list[tuple[str, ...]]:
    """Return the paths of commands of this or nearly this name: the one of no group, or those of any group."""
    alone: dict[str, list[tuple[str, ...]]] = {word: [(root.command_path, word)] for word in root.command.commands}
    paths: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for word, each in root.command.commands.items():
        for child in getattr(each, "commands", {}):
            paths[child].append((root.command_path, word, child))
    found = dict(paths) | alone
    near = nearest(name, found)
    return found[near] if near else []


def _unknown_option(name: str, context: Any) -> UsageError:
    options = [opt for each in context.command.params for opt in each.opts if opt.startswith("-")]
    other = WIDTHS.get(name, "")
    if other in options:
        taken = f"{context.command_path} takes {WIDTHS_TAKEN[other]}"
        return UsageError(f"{taken}: {other} {_value_of(other, context)}", name, _go_on(context, other))
    near = nearest(name, options)
    hint = _elsewhere(name, context) or (f"; did you mean {near}?" if near else "")
    return UsageError(f"no option {shorten(name)}{hint}", context.command_path, _all_of("options", context))


def _elsewhere(name: str, context: Any) -> str:
    """Return where an option belongs: after the name of a command, or to the configuration."""
    children = getattr(context.command, "commands", {}).values()
    if any(name in each.opts for child in children for each in child.params):
        return "; give it after the name of the command"
    if name == "--model" and context.command.name == "train":
        return f"; did you mean --init-from {_value_of('--init-from', context)}?"
    if any("--set" in each.opts for each in context.command.params):
        from mrlspk.config.keys import known_keys

        word = name.lstrip("-").replace("-", "_")
        section = "training" if context.command.name == "train" else "evaluation"
        by_section = sorted(known_keys(), key=lambda key: key.startswith(f"{section}."))
        leaves = {key.rpartition(".")[2].replace("_", ""): key for key in by_section}
        if key := leaves.get(COMMON_KEYS.get(word, word).replace("_", "")):
            return f"; did you mean --set {key}=VALUE?"
    return ""


def _as_option(word: str, context: Any) -> str:
    """Return the option of ``train`` that a file or folder is probably meant for."""
    path = Path(word)
    if context.command.name != "train" or not path.exists():
        return ""
    options = {".yaml": "--config ", ".yml": "--config "}
    option = "--set data.train_dataset=" if path.is_dir() else options.get(path.suffix, "--init-from ")
    return f"; did you mean {option}{shlex.quote(word)}?"


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the word that is meant by a misspelt or shortened one, or None."""
    plain = {each.lstrip("-").lower(): each for each in words}
    typed = word.lstrip("-").lower()
    begins = [each for each in plain if each.startswith(typed)] if len(typed) > 2 else []
    found = begins or difflib.get_close_matches(typed, plain, n=1, cutoff=POSSIBLE)
    return plain[found[0]] if found else None


def _takes_value(name: str, context: Any) -> bool:
    return any(name in each.opts and not each.is_flag for each in context.command.params)


def _value_of(name: str, context: Any) -> str:
    return next(value_name(each) for each in context.command.params if name in each.opts)


def _needed(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = str(parameter.metavar or parameter.name)
        return SPOKEN.get(name, name)
    return f"{_names(parameter)} {value_name(parameter)}"


def _names(parameter: Any) -> str:
    """Return the longest name of an option, or the name of an argument as the help shows it."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name)
    return str(max(parameter.opts, key=len))


def _wrong_value(error: Any) -> str:
    """Return what a parameter expects and what it got; the message of our own checks says so itself."""
    if not hasattr(error.__cause__, "errors"):
        return str(error.message)
    got = shorten(str(error.__cause__.errors()[0]["input"]))
    choices = choice_names(error.param)
    near = nearest(got, choices)
    hint = f"; did you mean {near}?" if near else ""
    return f"expected {_expected(error.param, choices)}, got {got}{hint}"


def _expected(parameter: Any, choices: list[str]) -> str:
    if choices:
        return " or ".join([", ".join(choices[:-1]), choices[-1]]) if len(choices) > 1 else choices[0]
    annotation = parameter.type_descriptor.annotation
    kind = "a whole number" if int in (annotation, *get_args(annotation)) else "a number"
    low, high = parameter.min, parameter.max
    if high is not None and high <= LARGEST_NAMED:
        return f"{kind} up to {high:,}" if low is None else f"{kind} from {low:,} to {high:,}"
    return kind if low is None else f"{kind} of at least {low:,}"


def _go_on(context: Any, option: str = "") -> str:
    """Return an example of a command, if possible one with the option, or how to get its help."""
    lines = sorted(example_lines(context.command.help or ""), key=lambda line: option not in line.split())
    return f"Example: {lines[0]}" if lines else _all_of("options", context)


def _all_of(what: str, context: Any) -> str:
    return f"All {what}: {context.command_path} --help"
