"""Define the panels that the options of a command are shown in."""

from enum import StrEnum
from typing import Any

import typer


class Panel(StrEnum):
    """Panels of ``--help``, in the order in which they are shown."""

    MODEL = "Model"
    DATA = "Data"
    TRAINING = "Training"
    FITTING = "Fitting"
    SCORING = "Scoring"
    DOWNLOAD = "Download"
    SETTINGS = "Settings"
    MACHINE = "Machine"
    OUTPUT = "Output"
    GENERAL = "General"


class CommandPanel(StrEnum):
    """Panels of the commands in the help of a group, in the order in which they are shown."""

    MAKE = "Make a model"
    USE = "Use a model"
    DATA = "Data and settings"
    MACHINE = "This machine"
    VOICES = "Voices"
    QUESTIONS = "Questions about a recording"
    QUALITY = "Accuracy and speed"
    UPKEEP = "Upkeep"
    OTHER = "Commands"


def option(panel: Panel, *names: str, help: str, **settings: Any) -> Any:
    """Return an option of a command, for ``Annotated``.

    Args:
        panel: Where ``--help`` shows it.
        names: Such as ``-o`` and ``--output``; by default the name of the parameter.
        help: One or two sentences. A default that is not None is added.
        settings: Of ``typer.Option``, such as ``metavar="<dims>"``.
    """
    return typer.Option(*names, help=help, rich_help_panel=panel.value, **settings)
