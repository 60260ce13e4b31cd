"""``mrlspk pretrained``: models that have a name, and what is in a checkpoint."""

import typer

from mrlspk.cli.pretrained.add import add_command
from mrlspk.cli.pretrained.convert import convert_command
from mrlspk.cli.pretrained.fetch import fetch_command
from mrlspk.cli.pretrained.inspect import inspect_command
from mrlspk.cli.pretrained.list_models import list_command

pretrained_app = typer.Typer(no_args_is_help=True, help="Published models and your own: list, fetch, inspect, convert.")
pretrained_app.command("list")(list_command)
pretrained_app.command("fetch")(fetch_command)
pretrained_app.command("inspect")(inspect_command)
pretrained_app.command("convert")(convert_command)
pretrained_app.command("add")(add_command)
