"""``mrlspk compare``: the same trials scored with two or more models."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrlspk.cli import output
from mrlspk.cli.command_line import typed_command
from mrlspk.cli.compare_tables import comparison_tables
from mrlspk.cli.model import cache_folder, resolve_model
from mrlspk.cli.options import AsJson, ConfigPath, Debug, Device, Force, Overrides, Quiet, parse_dims
from mrlspk.cli.trial_options import (
    AllowMissing,
    AllowUntrainedDim,
    AudioRoots,
    CohortPath,
    Dims,
    Enrolments,
    NoCache,
    PTargets,
    ReportFolder,
    Resamples,
    ScoreNormChoice,
    TopN,
    TrialFiles,
    check_norm,
    choose_device,
    read_config,
    trial_request,
)
from mrlspk.errors import UsageError

if TYPE_CHECKING:
    from mrlspk.evaluation.list_scores import ModelScores
    from mrlspk.evaluation.run_checkpoints import RunCheckpoint
    from mrlspk.inference.locate import ModelFile

STORED = ".npz"


def compare_command(
    ctx: typer.Context,
    models: Annotated[
        list[str],
        typer.Argument(
            help="Two or more paths, published names or .npz files of `mrlspk eval --scores`; or one run's folder.",
            metavar="MODEL",
        ),
    ],
    *,
    trials: TrialFiles = None,
    audio_root: AudioRoots = None,
    enroll: Enrolments = None,
    allow_missing: AllowMissing = False,
    dims: Dims = None,
    allow_untrained_dim: AllowUntrainedDim = False,
    p_target: PTargets = None,
    score_norm: ScoreNormChoice = None,
    cohort: CohortPath = None,
    top_n: TopN = None,
    resamples: Resamples = None,
    no_cache: NoCache = False,
    report: ReportFolder = None,
    force: Force = False,
    config: ConfigPath = None,
    overrides: Overrides = None,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Score the same trials with two or more models; show where they differ, and whether that can be believed."""
    from mrlspk.evaluation.documents import comparison_values
    from mrlspk.evaluation.report import check_report, write_report
    from mrlspk.workflows.compare import ComparisonRequest, compare

    if report is not None:
        check_report(report, force=force)
    if p_target and len(p_target) > 1:
        raise UsageError(f"models are compared at one prior, got {len(p_target)}", "--p-target", "Give one.")
    run = _find_run(models)
    request = ComparisonRequest(
        models=_find_models([str(each.path) for each in run] or models, quiet=quiet),
        trials=trial_request(trials, audio_root, enroll, allow_missing=allow_missing),
        dims=parse_dims(dims),
        allow_untrained_dim=allow_untrained_dim,
        run=run,
    )
    settings = read_config(
        config,
        overrides,
        p_target=p_target,
        score_norm=score_norm,
        cohort=cohort,
        top_n=top_n,
        n_resamples=resamples,
        cache=False if no_cache else None,
    )
    check_norm(settings, cohort, top_n)
    if (score_norm or cohort or top_n or no_cache) and not request.files:
        fix = "Leave out --score-norm, --cohort, --top-n and --no-cache."
        raise UsageError("the scores are there already: they cannot be made otherwise", fix=fix)
    with output.progress("embedding", quiet=quiet) as on_progress:
        result = compare(
            request,
            config=settings,
            device=choose_device(device, settings),
            cache_dir=cache_folder(),
            on_progress=on_progress,
        )
    payload = comparison_values(result, command_line=typed_command(ctx))
    output.show("compare", payload, comparison_tables(result), as_json=as_json)
    if report is not None:
        write_report(output.document("compare", payload), report, force=force)
        output.note(f"report: {report / 'index.html'}")


def _find_run(models: list[str]) -> "tuple[RunCheckpoint, ...]":
    """Return the checkpoints of the run whose folder is named; none where models are."""
    from mrlspk.evaluation.run_checkpoints import find_run_checkpoints

    if len(models) == 1 and Path(models[0]).is_dir():
        return find_run_checkpoints(Path(models[0]))
    return ()


def _find_models(models: list[str], *, quiet: bool) -> "dict[str, ModelFile | ModelScores]":
    """Return the checkpoints and the stored scores by the names that were typed, in their order."""
    from mrlspk.evaluation.scores_file import read_scores

    if repeated := [model for model in dict.fromkeys(models) if models.count(model) > 1]:
        raise UsageError(f"{', '.join(repeated)} is named more than once", fix="Name different checkpoints.")
    if len(models) < 2:
        raise UsageError(f"expected two or more models, got {len(models)}", fix="Name a second one.")
    return {
        model: read_scores(Path(model)) if Path(model).suffix == STORED else resolve_model(model, quiet=quiet)
        for model in models
    }
