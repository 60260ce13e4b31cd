"""Register the commands of ``mrlspk data``."""

from mrlspk.cli.commands import Commands
from mrlspk.cli.data.check import check_command
from mrlspk.cli.data.demo import demo_command
from mrlspk.cli.data.pack import pack_command
from mrlspk.cli.data.pack_noise import pack_noise_command
from mrlspk.cli.data.scan import scan_command
from mrlspk.cli.data.trials import trials_command

data_app = Commands(help="Scan or check a corpus, make a demo corpus, or draw trials.")

data_app.command("check")(check_command)
data_app.command("demo")(demo_command)
data_app.command("pack")(pack_command)
data_app.command("pack-noise")(pack_noise_command)
data_app.command("scan")(scan_command)
data_app.command("trials")(trials_command)
