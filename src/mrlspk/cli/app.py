"""Register every command, and turn errors into messages and exit codes in one place."""

import getpass
import logging
import os
import signal
import sys
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from dotenv import load_dotenv

from mrlspk import __version__
from mrlspk.cli import output, streams
from mrlspk.cli.calibrate import calibrate_command
from mrlspk.cli.commands import Commands, HelpGroup
from mrlspk.cli.compare import compare_command
from mrlspk.cli.completion import COMPLETIONS, check_shell
from mrlspk.cli.config_migrate import config_app
from mrlspk.cli.data.group import data_app
from mrlspk.cli.doctor import doctor_command
from mrlspk.cli.embed import embed_command
from mrlspk.cli.eval import eval_command
from mrlspk.cli.export import export_command
from mrlspk.cli.features import features_command
from mrlspk.cli.gpu_profile import gpu_profile_command
from mrlspk.cli.index.group import index_app
from mrlspk.cli.model import model_app
from mrlspk.cli.options import DEBUG_KEY
from mrlspk.cli.panels import CommandPanel, Panel, option
from mrlspk.cli.pretrained import pretrained_app
from mrlspk.cli.report import report_command
from mrlspk.cli.rotate import rotate_command
from mrlspk.cli.train import train_command
from mrlspk.cli.usage_errors import usage_errors
from mrlspk.cli.vectors import vectors_app
from mrlspk.cli.verify import verify_command
from mrlspk.errors import ConfigError, MrlspkError

INTERRUPTED, TERMINATED = 130, 143


class RootGroup(HelpGroup):
    """The root command group, which handles errors."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what stands before the name of a command."""
        with usage_errors(ctx):
            if COMPLETIONS & set(args):
                check_shell()
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; print a `MrlspkError` on stderr and exit with its code."""
        before = signal.signal(signal.SIGTERM, _terminate)
        try:
            return super().invoke(ctx)
        except MrlspkError as error:
            if ctx.meta.get(DEBUG_KEY):
                raise
            if error.is_shown_elsewhere:  # exit code 0: a launcher would stop the first process early otherwise
                raise typer.Exit from error
            output.show_error(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            output.note("interrupted")
            raise typer.Exit(INTERRUPTED) from error
        finally:
            signal.signal(signal.SIGTERM, before)  # a program that runs a command in its own process keeps its handler


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Exit on SIGTERM through every ``finally``, so that no half-written file is left."""
    sys.exit(TERMINATED)


app = Commands(cls=RootGroup, name="mrlspk")


def _show_version(value: bool) -> None:  # noqa: FBT001 - the signature that typer calls
    if value:
        output.line(__version__)
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool,
        option(Panel.GENERAL, "--version", callback=_show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Matryoshka speaker embeddings: one forward pass, a good embedding at every prefix width.

    Example:
        mrlspk embed call.m4a
        mrlspk COMMAND --help
    """
    _read_dotenv(Path(".env"))
    _name_user()
    os.environ.setdefault("WANDB_SILENT", "true")
    # torch reads this when it is imported. Threads that spin while they wait slow down decoding, up to 8x.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logger = logging.getLogger("mrlspk")
    logger.handlers = [output.WarningHandler()]
    logger.propagate = False


def _name_user() -> None:
    """Name a user without an entry in the password database: torch asks for the name when it is imported."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = f"user{os.getuid()}"


def _read_dotenv(path: Path) -> None:
    """Set the variables in ``path`` that are not set yet; the file may be missing.

    Raises:
        ConfigError: If it cannot be read.
    """
    if path.exists() and not path.is_dir():  # a folder of this name may be a virtual environment
        from mrlspk.reading import read_text

        text = read_text(path, ConfigError, "Make it a readable file in UTF-8, or remove it.")
        load_dotenv(stream=StringIO(text), override=False)


app.command("train", rich_help_panel=CommandPanel.MAKE)(train_command)
app.command("features", rich_help_panel=CommandPanel.MAKE)(features_command)
app.command("report", rich_help_panel=CommandPanel.MAKE)(report_command)
app.command("rotate", rich_help_panel=CommandPanel.MAKE)(rotate_command)
app.command("calibrate", rich_help_panel=CommandPanel.MAKE)(calibrate_command)
app.command("export", rich_help_panel=CommandPanel.MAKE)(export_command)
app.add_typer(pretrained_app, name="pretrained", rich_help_panel=CommandPanel.MAKE)
app.command("embed", rich_help_panel=CommandPanel.USE)(embed_command)
app.command("verify", rich_help_panel=CommandPanel.USE)(verify_command)
app.command("eval", rich_help_panel=CommandPanel.USE)(eval_command)
app.command("compare", rich_help_panel=CommandPanel.USE)(compare_command)
app.add_typer(index_app, name="index", rich_help_panel=CommandPanel.USE)
app.add_typer(model_app, name="model", rich_help_panel=CommandPanel.USE)
app.add_typer(vectors_app, name="vectors", rich_help_panel=CommandPanel.USE)
app.add_typer(data_app, name="data", rich_help_panel=CommandPanel.DATA)
app.add_typer(config_app, name="config", rich_help_panel=CommandPanel.DATA)
app.command("doctor", rich_help_panel=CommandPanel.MACHINE)(doctor_command)
app.command("gpu-profile", rich_help_panel=CommandPanel.MACHINE)(gpu_profile_command)


def main() -> None:
    """Run the command line with guarded standard streams."""
    streams.guard()
    try:
        try:
            app(prog_name="mrlspk")
        finally:
            sys.stdout.flush()  # a failure at exit would be shown as a traceback
    except streams.OutputError as error:
        output.show_error(error)
        sys.exit(error.exit_code)
