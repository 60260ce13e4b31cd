"""Options and wording that the commands which score trials share."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

if TYPE_CHECKING:
    from mrlspk.config import Config
    from mrlspk.evaluation.comparison import ComparedTrials
    from mrlspk.evaluation.model_scores import TrialResult

TrialFiles = Annotated[
    list[Path] | None,
    typer.Option("--trials", help="Trial list; repeatable. Default: the configuration's, or the checkpoint's."),
]
AudioRoots = Annotated[
    list[Path] | None,
    typer.Option("--audio-root", help="Folder of a list's paths: one for all, or one each. Default: the list's own."),
]
Dims = Annotated[str | None, typer.Option("--dims", help="Prefix widths to score, e.g. 64,128. Default: all trained.")]
AllowUntrainedDim = Annotated[
    bool, typer.Option("--allow-untrained-dim", help="Cut at widths that the model was not trained for.")
]


def read_config(path: Path | None, overrides: Sequence[str] | None) -> "Config":
    """Return the configuration of a command from the environment, ``--config`` and ``--set``.

    Raises:
        ConfigError: If a key is unknown or a value is not allowed.
    """
    from mrlspk.config import load_config

    return load_config(path, overrides or (), environment=os.environ)


def choose_device(flag: str, config: "Config") -> str:
    """Return the device that the flag names, or, where it says auto, the configuration's."""
    return config.hardware.device if flag == "auto" else flag


def heading(trials: "TrialResult | ComparedTrials") -> Text:
    """Return what stands above the table of one trial list: never wrapped, for paths are copied from it."""
    lines = [trials.path, f"{trials.n_target} target and {trials.n_nontarget} non-target trials"]
    if trials.source != "--trials":
        lines.append(trials.source)
    return Text("\n".join(lines), no_wrap=True, overflow="ignore")


def percent(rate: float) -> str:
    """Return a rate as per cent, with two decimals."""
    return f"{100 * rate:.2f}"
