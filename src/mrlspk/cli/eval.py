"""``mrlspk eval``: trials scored at every width."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

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

if TYPE_CHECKING:
    from mrlspk.evaluation.model_scores import TrialResult
    from mrlspk.evaluation.scoring import WidthResult
    from mrlspk.workflows.evaluate import EvaluationReport


def _check_priors(values: list[float] | None) -> list[float] | None:
    for value in values or ():
        if not 0 < value < 1:
            raise typer.BadParameter(f"a prior lies between 0 and 1, got {value}")
    return values


def eval_command(
    model: Annotated[
        str | None, typer.Argument(help="Path or published name. Default: the newest run's best.", show_default=False)
    ] = None,
    *,
    trials: TrialFiles = None,
    audio_root: AudioRoots = None,
    dims: Dims = None,
    p_target: Annotated[
        list[float] | None,
        typer.Option(callback=_check_priors, help="Prior of the detection cost; repeatable. Default: 0.01 and 0.05."),
    ] = None,
    allow_untrained_dim: AllowUntrainedDim = False,
    config: ConfigPath = None,
    overrides: Overrides = None,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Score trial lists; show EER and minDCF for every embedding width."""
    from mrlspk.workflows.evaluate import evaluate

    widths, settings = parse_dims(dims), read_config(config, overrides)
    path = resolve_model(model, quiet=quiet)
    with output.progress("embedding", quiet=quiet) as on_progress:
        report = evaluate(
            path,
            trials or (),
            audio_root or (),
            config=settings,
            dims=widths,
            p_targets=tuple(dict.fromkeys(p_target)) if p_target else None,
            allow_untrained_dim=allow_untrained_dim,
            device=choose_device(device, settings),
            on_progress=on_progress,
        )
    payload = {"model": str(report.model), "trials": [_trial_payload(each) for each in report.trials]}
    output.show("eval", payload, _human(report), as_json=as_json)


def _trial_payload(trials: "TrialResult") -> dict[str, Any]:
    return {
        "path": trials.path,
        "sha256": trials.sha256,
        "source": trials.source,
        "audio_root": str(trials.audio_root),
        "n_target": trials.n_target,
        "n_nontarget": trials.n_nontarget,
        "results": [_width_payload(each) for each in trials.results],
    }


def _width_payload(result: "WidthResult") -> dict[str, Any]:
    """Return the figures of one width; those that need calibrated scores are null."""
    return {
        "dim": result.dim,
        "eer": result.eer,
        "threshold": result.threshold,
        "min_dcf": result.dcf[0].min_dcf,
        "dcf": [{"p_target": each.p_target, "min_dcf": each.min_dcf, "act_dcf": None} for each in result.dcf],
        "cllr": None,
        "calibrated_threshold": None,
    }


def _human(report: "EvaluationReport") -> Iterator[RenderableType]:
    for index, trials in enumerate(report.trials):
        priors = [f"minDCF({each.p_target:g})" for each in trials.results[0].dcf]
        rows = [
            (
                result.dim,
                percent(result.eer),
                *(f"{each.min_dcf:.4f}" for each in result.dcf),
                f"{result.threshold:.4f}",
            )
            for result in trials.results
        ]
        if index:
            yield ""
        yield heading(trials)
        yield output.table(None, ("width", "EER %", *priors, "threshold"), rows)
