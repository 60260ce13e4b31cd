"""Write docs/configuration.md from the configuration's models and docs/commands.md from the commands' own help."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from typer.testing import CliRunner

from mrlspk.cli.app import app
from mrlspk.config.reference import render_reference

DOCS = Path(__file__).resolve().parent.parent / "docs"

INTRODUCTION = """\
# Commands

Generated from `--help` by `scripts/write_reference.py`; a test keeps it true.

Data goes to stdout; progress, warnings and errors go to stderr. With `--json` a command prints one JSON document.

Exit codes: 0 done; 1 failed; 2 usage; 3 the data is at fault; 4 something outside is missing (FFmpeg, network, an
optional package); 130 and 143 interrupted.
"""


def render_commands() -> str:
    """Return docs/commands.md: the help of every command, 80 columns wide."""
    pieces = [INTRODUCTION]
    for words in command_paths(typer.main.get_command(app)):
        help_text = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"}).stdout
        lines = "\n".join(line.rstrip() for line in help_text.strip().splitlines())
        pieces.append(f"## `{' '.join(('mrlspk', *words))}`\n\n```text\n{lines}\n```\n")
    return "\n".join(pieces)


def command_paths(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words that lead to each command, a group before what it holds."""
    yield words
    for name, child in getattr(command, "commands", {}).items():
        yield from command_paths(child, (*words, name))


def main() -> None:
    """Write both files."""
    (DOCS / "configuration.md").write_text(render_reference(), encoding="utf-8")
    (DOCS / "commands.md").write_text(render_commands(), encoding="utf-8")


if __name__ == "__main__":
    main()
