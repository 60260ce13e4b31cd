"""``mrlspk compare``: the same trials scored with two or more models."""

from collections.abc import Iterator
from dataclasses import asdict
from string import ascii_uppercase
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.model import resolve_model
from mrlspk.cli.options import AsJson, ConfigPath, Debug, Device, Overrides, Quiet, parse_dims
from mrlspk.cli.trial_options import (
    AllowUntrainedDim,
    AudioRoots,
    Dims,
    TrialFiles,
    choose_device,
    heading,
    percent,
    read_config,
)
from mrlspk.errors import UsageError

if TYPE_CHECKING:
    from mrlspk.evaluation.comparison import ComparedTrials
    from mrlspk.workflows.compare import ComparisonReport


def compare_command(
    models: Annotated[list[str], typer.Argument(help="Two or more paths or published names.", metavar="MODEL")],
    *,
    trials: TrialFiles = None,
    audio_root: AudioRoots = None,
    dims: Dims = None,
    allow_untrained_dim: AllowUntrainedDim = False,
    config: ConfigPath = None,
    overrides: Overrides = None,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Score the same trials with two or more models; show each one's EER and the differences at every width."""
    from mrlspk.workflows.compare import compare

    widths, settings = parse_dims(dims), read_config(config, overrides)
    _check_names(models)
    paths = {model: resolve_model(model, quiet=quiet) for model in models}
    with output.progress("embedding", quiet=quiet) as on_progress:
        report = compare(
            paths,
            trials or (),
            audio_root or (),
            config=settings,
            dims=widths,
            allow_untrained_dim=allow_untrained_dim,
            device=choose_device(device, settings),
            on_progress=on_progress,
        )
    payload = {"models": list(report.models), "trials": [asdict(each) for each in report.trials]}
    output.show("compare", payload, _human(report), as_json=as_json)


def _check_names(models: list[str]) -> None:
    if repeated := [model for model in dict.fromkeys(models) if models.count(model) > 1]:
        raise UsageError(f"{', '.join(repeated)} is named more than once", fix="Name different checkpoints.")
    if not 2 <= len(models) <= len(ascii_uppercase):
        raise UsageError(f"expected from 2 to {len(ascii_uppercase)} models, got {len(models)}")


def _human(report: "ComparisonReport") -> Iterator[RenderableType]:
    """Call the models A, B … in the order given, and show what B has more of than A as B − A."""
    letters = dict(zip(report.models, ascii_uppercase, strict=False))
    yield "\n".join(f"{letter}  {model}" for model, letter in letters.items())
    for trials in report.trials:
        yield ""
        yield heading(trials)
        yield _table(trials, letters)


def _table(trials: "ComparedTrials", letters: dict[str, str]) -> RenderableType:
    first = trials.results[0]
    columns = [
        "width",
        *(f"EER % {letters[each.model]}" for each in first.models),
        *(f"{letters[each.b]} − {letters[each.a]}" for each in first.pairs),
    ]
    rows = [
        (
            width.dim,
            *(percent(each.eer) for each in width.models),
            *(f"{100 * each.delta_eer:+.2f}" for each in width.pairs),
        )
        for width in trials.results
    ]
    return output.table(None, columns, rows)
