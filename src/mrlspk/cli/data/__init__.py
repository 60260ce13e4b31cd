"""``mrlspk data``: a corpus checked, a small one made, trials drawn."""

import typer

from mrlspk.cli.data.check import check_command
from mrlspk.cli.data.demo import demo_command
from mrlspk.cli.data.trials import trials_command

data_app = typer.Typer(no_args_is_help=True, help="Check a corpus, make a small one, or draw trials from folders.")
data_app.command("check")(check_command)
data_app.command("demo")(demo_command)
data_app.command("trials")(trials_command)
