"""Page that ``--help`` shows of a small program."""

from enum import StrEnum
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from mrlspk.cli.commands import Commands
from mrlspk.cli.panels import Panel, option

PAGE = """\
Usage: tool sing SONG... -o <file> [OPTIONS]

  Sing songs.

  A second paragraph that is too long for one line of eighty columns, so that it
  goes on in the next line.

Example:
  tool sing a.txt -o a.wav

Arguments:
  SONG                 Texts of songs.

Model:
  --voice <high|low>   Voice to sing with. Default: high.
  --dims <dims>        Widths, e.g. 64. Default: all.
  --a-name-longer-than-the-column <n>
                       Seconds. Default: 3.

Output:
  -o, --output <file>  File to write. Required.

General:
  -h, --help           Show this message and exit.
"""


class Voice(StrEnum):
    HIGH = "high"
    LOW = "low"


@pytest.fixture
def tool():
    app = Commands(name="tool")

    @app.callback()
    def root() -> None:
        """Make music."""

    @app.command("sing")
    def sing(
        songs: Annotated[list[str], typer.Argument(metavar="SONG", help="Texts of songs.")],
        *,
        out: Annotated[str, option(Panel.OUTPUT, "-o", "--output", metavar="<file>", help="File to write.")],
        voice: Annotated[Voice, option(Panel.MODEL, help="Voice to sing with.")] = Voice.HIGH,
        dims: Annotated[str | None, option(Panel.MODEL, metavar="<dims>", help="Widths, e.g. 64. Default: all.")] = "",
        a_name_longer_than_the_column: Annotated[int, option(Panel.MODEL, metavar="<n>", help="Seconds.")] = 3,
    ) -> None:
        """Sing songs.

        A second paragraph that is too long for one line of eighty columns, so that it goes on
        in the next line.

        Example:
            tool sing a.txt -o a.wav
        """

    return lambda *words: CliRunner().invoke(app, words)


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_shows_panels_in_aligned_columns(tool, flag):
    result = tool("sing", flag)
    assert (result.exit_code, result.stdout) == (0, PAGE)


def test_group_without_a_command_shows_its_help_and_succeeds(tool):
    result = tool()
    assert (result.exit_code, result.stderr) == (0, "")
    assert "\nCommands:\n  sing  Sing songs.\n" in result.stdout
