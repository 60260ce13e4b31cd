"""``mrlspk eval``: trials scored at every width."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mrlspk.cli import output
from mrlspk.cli.command_line import typed_command
from mrlspk.cli.eval_tables import evaluation_tables
from mrlspk.cli.model import cache_folder, mirror_address, resolve_model
from mrlspk.cli.options import AsJson, ConfigPath, Debug, Device, Force, Overrides, Quiet, parse_dims
from mrlspk.cli.trial_options import (
    AllowMissing,
    AllowUntrainedDim,
    AudioRoots,
    CalibrationChoice,
    CohortPath,
    Dims,
    Enrolments,
    FalseAcceptRates,
    NoCache,
    PTargets,
    ReportFolder,
    Resamples,
    ScoreNormChoice,
    TopN,
    TrialFiles,
    check_norm,
    choose_device,
    parse_durations,
    read_config,
    trial_request,
)

if TYPE_CHECKING:
    from mrlspk.evaluation.model_report import EvaluationReport

NO_CALIBRATION = "none"


def eval_command(
    ctx: typer.Context,
    model: Annotated[
        str | None, typer.Argument(help="Path or published name. Default: the newest run's best.", show_default=False)
    ] = None,
    *,
    trials: TrialFiles = None,
    audio_root: AudioRoots = None,
    enroll: Enrolments = None,
    allow_missing: AllowMissing = False,
    dims: Dims = None,
    allow_untrained_dim: AllowUntrainedDim = False,
    p_target: PTargets = None,
    far: FalseAcceptRates = None,
    score_norm: ScoreNormChoice = None,
    cohort: CohortPath = None,
    top_n: TopN = None,
    calibration: CalibrationChoice = None,
    durations: Annotated[
        str | None, typer.Option(help="Also cut the test side to these seconds, e.g. 1,2,3,5,full.")
    ] = None,
    metadata: Annotated[
        Path | None, typer.Option(help="Table of utterances or speakers (CSV, TSV, JSONL) for --by.")
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(help="Column of --metadata or of the trial list to break down by; repeatable.")
    ] = None,
    target_eer: Annotated[
        float | None, typer.Option(min=0, max=1, help="Name the smallest width whose EER is surely at most this.")
    ] = None,
    baselines: Annotated[
        bool,
        typer.Option("--baselines", help="Score what the model came from too: its own embedding, that cut and turned."),
    ] = False,
    resamples: Resamples = None,
    no_cache: NoCache = False,
    scores: Annotated[
        Path | None, typer.Option(help="Write the score of every trial to this .npz file, for compare.")
    ] = None,
    report: ReportFolder = None,
    force: Force = False,
    config: ConfigPath = None,
    overrides: Overrides = None,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Score trial lists; show EER and minDCF, with intervals over speakers, for every embedding width."""
    from mrlspk.evaluation.documents import evaluation_values
    from mrlspk.workflows.evaluate import EvaluationRequest, evaluate

    _check_targets(scores, report, force=force)
    request = EvaluationRequest(
        trials=trial_request(trials, audio_root, enroll, allow_missing=allow_missing),
        dims=parse_dims(dims),
        allow_untrained_dim=allow_untrained_dim,
        durations=parse_durations(durations),
        metadata=metadata,
        by=tuple(by or ()),
        calibration=None if calibration in {None, NO_CALIBRATION} else Path(str(calibration)),
        use_calibration=calibration != NO_CALIBRATION,
        target_eer=target_eer,
        baselines=baselines,
    )
    settings = read_config(
        config,
        overrides,
        p_target=p_target,
        false_accept_rates=far,
        score_norm=score_norm,
        cohort=cohort,
        top_n=top_n,
        n_resamples=resamples,
        cache=False if no_cache else None,
    )
    check_norm(settings, cohort, top_n)
    file = resolve_model(model, quiet=quiet)
    with output.progress("embedding", quiet=quiet) as on_progress:
        result = evaluate(
            file,
            request,
            config=settings,
            device=choose_device(device, settings),
            cache_dir=cache_folder(),
            mirror=mirror_address(),
            on_progress=on_progress,
        )
    payload = evaluation_values(result, command_line=typed_command(ctx, model=file.typed))
    output.show("eval", payload, evaluation_tables(result), as_json=as_json)
    _write_files(result, payload, scores, report, force=force)


def _check_targets(scores: Path | None, report: Path | None, *, force: bool) -> None:
    """Refuse, before any work, files that could not be written."""
    from mrlspk.evaluation.report import check_report
    from mrlspk.evaluation.scores_file import check_scores_target

    if scores is not None:
        check_scores_target(scores, force=force)
    if report is not None:
        check_report(report, force=force)


def _write_files(
    result: "EvaluationReport", payload: dict[str, Any], scores: Path | None, report: Path | None, *, force: bool
) -> None:
    """Write what was asked for, after the figures were shown: a full disk does not lose them."""
    from mrlspk.evaluation.documents import add_curves
    from mrlspk.evaluation.list_scores import keep_scores
    from mrlspk.evaluation.report import write_report
    from mrlspk.evaluation.scores_file import write_scores

    if scores is not None:
        write_scores(scores, keep_scores(result.fingerprint, result.scored_as, result.scored))
        output.note(f"scores: {scores}")
    if report is not None:
        write_report(output.document("eval", add_curves(payload, result)), report, force=force)
        output.note(f"report: {report / 'index.html'}")
