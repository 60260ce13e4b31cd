"""Register the commands of ``mrlspk index``."""

from mrlspk.cli.commands import Commands
from mrlspk.cli.index.upkeep import check_command, compact_command, stats_command
from mrlspk.cli.index.voices import list_command, remove_command, rename_command, show_command
from mrlspk.cli.panels import CommandPanel

index_app = Commands(help="Enrol voices in a folder, identify and search recordings.")

index_app.command("list", rich_help_panel=CommandPanel.VOICES)(list_command)
index_app.command("show", rich_help_panel=CommandPanel.VOICES)(show_command)
index_app.command("rename", rich_help_panel=CommandPanel.VOICES)(rename_command)
index_app.command("remove", rich_help_panel=CommandPanel.VOICES)(remove_command)
index_app.command("stats", rich_help_panel=CommandPanel.UPKEEP)(stats_command)
index_app.command("check", rich_help_panel=CommandPanel.UPKEEP)(check_command)
index_app.command("compact", rich_help_panel=CommandPanel.UPKEEP)(compact_command)
