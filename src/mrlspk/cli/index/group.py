"""Register the commands of ``mrlspk index``."""

from mrlspk.cli.commands import Commands
from mrlspk.cli.index.add import add_command
from mrlspk.cli.index.calibrate import calibrate_command
from mrlspk.cli.index.create import create_command
from mrlspk.cli.index.evaluate import evaluate_command
from mrlspk.cli.index.export import export_command
from mrlspk.cli.index.identify import identify_command, verify_command
from mrlspk.cli.index.search import search_command
from mrlspk.cli.index.tune import tune_command
from mrlspk.cli.index.upkeep import check_command, compact_command, stats_command
from mrlspk.cli.index.voices import list_command, remove_command, rename_command, show_command
from mrlspk.cli.panels import CommandPanel

index_app = Commands(help="Enrol voices in a folder, identify and search recordings.")

index_app.command("create", rich_help_panel=CommandPanel.VOICES)(create_command)
index_app.command("add", rich_help_panel=CommandPanel.VOICES)(add_command)
index_app.command("list", rich_help_panel=CommandPanel.VOICES)(list_command)
index_app.command("show", rich_help_panel=CommandPanel.VOICES)(show_command)
index_app.command("rename", rich_help_panel=CommandPanel.VOICES)(rename_command)
index_app.command("remove", rich_help_panel=CommandPanel.VOICES)(remove_command)
index_app.command("export", rich_help_panel=CommandPanel.VOICES)(export_command)
index_app.command("identify", rich_help_panel=CommandPanel.QUESTIONS)(identify_command)
index_app.command("search", rich_help_panel=CommandPanel.QUESTIONS)(search_command)
index_app.command("verify", rich_help_panel=CommandPanel.QUESTIONS)(verify_command)
index_app.command("calibrate", rich_help_panel=CommandPanel.QUALITY)(calibrate_command)
index_app.command("evaluate", rich_help_panel=CommandPanel.QUALITY)(evaluate_command)
index_app.command("tune", rich_help_panel=CommandPanel.QUALITY)(tune_command)
index_app.command("stats", rich_help_panel=CommandPanel.UPKEEP)(stats_command)
index_app.command("check", rich_help_panel=CommandPanel.UPKEEP)(check_command)
index_app.command("compact", rich_help_panel=CommandPanel.UPKEEP)(compact_command)
