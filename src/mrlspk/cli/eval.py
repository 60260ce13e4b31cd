"""``mrlspk eval``: score trials at every width."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.next_commands import after_eval
from mrlspk.cli.options import (
    AsJson,
    ChannelChoice,
    ConfigPath,
    Debug,
    Device,
    Force,
    ModelArgument,
    Overrides,
    Quiet,
    TrustCode,
    check_speech,
    choose_device,
    find_cache_folder,
    mirror_address,
    model_entry,
    parse_dims,
    read_config,
    typed_command,
)
from mrlspk.cli.output import cost, percent, percent_interval, rate_table
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.tables import FittedTable
from mrlspk.cli.trial_options import (
    AllowMissing,
    AllowUntrainedDim,
    AudioRoots,
    CalibrationChoice,
    CohortPath,
    Dims,
    Enrolments,
    EvaluatedSpeech,
    FalseAcceptRates,
    NoCache,
    PTargets,
    ReportFolder,
    Resamples,
    ScoreNormChoice,
    TopN,
    TrialFiles,
    VectorsFile,
    VectorSpeakers,
    check_norm,
    find_model,
    heading,
    parse_durations,
    trial_request,
)

if TYPE_CHECKING:
    from mrlspk.evaluation.breakdown import ColumnBreakdown
    from mrlspk.evaluation.evaluation_report import EvaluationReport, ListReport, TargetWidth
    from mrlspk.files import Claim
    from mrlspk.metrics.width_metrics import WidthMetrics

NO_CALIBRATION = "none"
# Metrics that the table by width has a column for or leaves to --json and the report.
OWN_COLUMNS = {"dim", "eer", "eer_ci", "threshold", "accuracy", "dcf", "cllr", "min_cllr", "calibrated_threshold"}
LABELS = {"truncation": "own, truncated", "rotation": "rotation"}


def eval_command(
    ctx: typer.Context,
    model: ModelArgument = None,
    *,
    vectors: VectorsFile = None,
    speakers: VectorSpeakers = None,
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
    speech: EvaluatedSpeech = None,
    channel: ChannelChoice = None,
    calibration: CalibrationChoice = None,
    durations: Annotated[
        str | None,
        option(Panel.SCORING, metavar="<seconds>", help="Also crop the test side to these seconds, e.g. 1,2,3,5,full."),
    ] = None,
    metadata: Annotated[
        Path | None,
        option(Panel.DATA, metavar="<file>", help="Table of utterances or speakers (CSV, TSV, JSONL) for --by."),
    ] = None,
    by: Annotated[
        list[str] | None,
        option(
            Panel.SCORING,
            metavar="<column>",
            help="Column of --metadata or of the trial list to break down by; repeatable.",
        ),
    ] = None,
    target_eer: Annotated[
        float | None,
        option(
            Panel.SCORING,
            min=0,
            max=1,
            metavar="<eer>",
            help="Find the smallest width whose EER interval is at most this.",
        ),
    ] = None,
    baselines: Annotated[
        bool,
        option(Panel.SCORING, "--baselines", help="Also score the original embedding, whole, truncated and rotated."),
    ] = False,
    resamples: Resamples = None,
    no_cache: NoCache = False,
    scores: Annotated[
        Path | None,
        option(Panel.OUTPUT, metavar="<file>", help="Write the score of every trial to this .npz file, for compare."),
    ] = None,
    report: ReportFolder = None,
    force: Force = False,
    config: ConfigPath = None,
    overrides: Overrides = None,
    trust_code: TrustCode = False,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Score trial lists at every width: EER, minDCF, intervals.

    Without --trials the trials of the run or of its configuration are scored.

    Example:
        mrlspk eval best.pt --trials trials.txt --audio-root speech
        mrlspk eval best.pt --dims 64,128 --report page
    """
    from mrlspk.evaluation.json_documents import evaluation_values
    from mrlspk.workflows.evaluate import EvaluationRequest, evaluate

    claim = _claim_targets(ctx, scores, report, force=force)
    request = EvaluationRequest(
        trials=trial_request(trials, audio_root, enroll, allow_missing=allow_missing, speakers=speakers),
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
        speech=speech,
        channel=channel,
        n_resamples=resamples,
        cache=False if no_cache else None,
    )
    check_norm(settings, cohort, top_n)
    check_speech(settings.evaluation.speech)
    file = find_model(model, vectors, quiet=quiet, trust_code=trust_code)
    with output.progress("embedding", quiet=quiet) as on_progress:
        result = evaluate(
            file,
            request,
            config=settings,
            device=choose_device(device, settings),
            cache_dir=find_cache_folder(),
            mirror=mirror_address(),
            on_progress=on_progress,
        )
    typed = typed_command(ctx, **({} if vectors else {"model": file.typed}))
    payload = evaluation_values(result, model=model_entry(file), command_line=typed)
    try:
        _write_files(result, payload, claim, report, force=force)
    finally:  # a full disk does not lose the metrics
        after = after_eval(result, file, typed=typed, page=report)
        output.show("eval", payload, chain(evaluation_tables(result), after), as_json=as_json)


def _claim_targets(ctx: typer.Context, scores: Path | None, report: Path | None, *, force: bool) -> "Claim | None":
    """Check before any work that the files can be written; return the claim on the scores."""
    from mrlspk.evaluation.report import check_report
    from mrlspk.evaluation.score_files import claim_scores

    if report is not None:
        check_report(report, force=force)
    return None if scores is None else ctx.with_resource(claim_scores(scores, force=force))


def _write_files(
    result: "EvaluationReport", payload: dict[str, Any], claim: "Claim | None", report: Path | None, *, force: bool
) -> None:
    """Write the requested files."""
    from mrlspk.evaluation.json_documents import add_curves
    from mrlspk.evaluation.report import write_report
    from mrlspk.evaluation.score_files import keep_scores, write_scores

    if claim is not None:
        write_scores(claim, keep_scores(result.fingerprint, result.scored_as, result.scored))
        output.note(f"scores: {claim.path}")
    if report is not None:
        write_report(output.document("eval", add_curves(payload, result)), report, force=force)
        output.note(f"report: {report / 'index.html'}")


def evaluation_tables(report: "EvaluationReport") -> Iterator[RenderableType]:
    """Yield a heading, a table by width and the other requested tables, list by list."""
    if notes := list(_notes(report)):
        yield "\n".join(notes)
        yield ""
    for index, trials in enumerate(report.trials):
        if index:
            yield ""
        yield from _list_tables(trials)
    for found in report.target_widths:
        yield ""
        yield _target_line(found, report.target_eer)


def _notes(report: "EvaluationReport") -> Iterator[str]:
    if report.norm is not None:
        used = "S-Norm" if report.norm.top_n is None else f"AS-Norm, top {report.norm.top_n}"
        yield f"{used} with {report.norm.cohort.path}: thresholds are normalised scores, not cosines"
    if report.calibration is not None:
        yield f"calibration: {report.calibration.path}"


def _list_tables(trials: "ListReport") -> Iterator[RenderableType]:
    yield heading(trials)
    yield _width_table(trials.results)
    if trials.intervals.note:
        yield f"no intervals: {trials.intervals.note}"
    else:
        known = ", known from target trials only" if trials.intervals.speakers_from == "target trials" else ""
        found = trials.intervals
        yield f"95 % intervals over {found.n_speakers} speakers{known}, {found.n_resamples} resamples"
    if trials.baselines:
        yield ""
        yield baseline_table(trials)
    if trials.durations:
        yield ""
        yield _duration_table(trials)
    for column in trials.breakdown:
        yield ""
        yield _column_table(column, [each.dim for each in trials.results])


def _width_table(results: "Iterable[WidthMetrics]") -> RenderableType:
    results = list(results)
    first = results[0]
    calibrated = first.cllr is not None
    with_intervals = first.eer_ci is not None
    columns = ["width", "EER %", *(["95 %"] if with_intervals else [])]
    for each in first.dcf:
        columns += [f"minDCF({each.p_target:g})", *([f"actDCF({each.p_target:g})"] if calibrated else [])]
    columns += ["minCllr", *(["Cllr"] if calibrated else []), "threshold", *_further_metrics(first)]
    return output.table(None, columns, (_width_row(each) for each in results))


def _width_row(result: "WidthMetrics") -> Iterator[object]:
    yield result.dim
    yield percent(result.eer)
    if result.eer_ci is not None:
        yield percent_interval(result.eer_ci)
    for each in result.dcf:
        yield f"{each.min_dcf:.4f}"
        if each.act_dcf is not None:
            yield f"{each.act_dcf:.4f}"
    yield cost(result.min_cllr)
    if result.cllr is not None:
        yield f"{result.cllr:.4f}"
    yield f"{result.threshold:.4f}"
    for value in _further_metrics(result).values():
        yield f"{value:.4f}"


def _further_metrics(result: "WidthMetrics") -> dict[str, float]:
    """Return the metrics that have no column of their own, by name: a new metric is shown without a change here."""
    metrics = {name: value for name, value in vars(result).items() if name not in OWN_COLUMNS}
    return {name: value for name, value in metrics.items() if isinstance(value, float)}


def _duration_table(trials: "ListReport") -> RenderableType:
    dims = [each.dim for each in trials.results]
    columns = ["EER %", *map(str, dims), "trials", "left out"]
    rows = [
        (
            "whole" if each.seconds is None else f"{each.seconds:g} s",
            *_eer_cells(each.results, dims),
            each.n_target + each.n_nontarget,
            each.n_left_out,
        )
        for each in trials.durations
    ]
    return output.table("by length of the test side", columns, rows)


def _column_table(column: "ColumnBreakdown", dims: Sequence[int]) -> RenderableType:
    columns = ["EER %", *map(str, dims), "target", "non-target"]
    rows = [
        (group.value, *_eer_cells(group.results, dims), group.n_target, group.n_nontarget) for group in column.groups
    ]
    return output.table(f"by {column.column}", columns, rows)


def _eer_cells(results: "Iterable[WidthMetrics]", dims: Sequence[int]) -> list[str]:
    eers = {each.dim: each.eer for each in results}
    return [percent(eers.get(dim)) for dim in dims]


def _target_line(found: "TargetWidth", target: float | None) -> str:
    goal = f"EER of at most {percent(target)} % on {found.path}"
    if found.dim is not None:
        return f"{goal}: {found.dim} is the smallest width whose whole interval is below it"
    estimate = f"; by the EER alone, width {found.dim_by_estimate} meets it" if found.dim_by_estimate else ""
    return f"{goal}: {found.reason}{estimate}"


def baseline_table(trials: "ListReport") -> FittedTable:
    """Return the equal error rates of the baselines of a list, and of the model."""
    rates = {each.name: {width.dim: width.eer for width in each.results} for each in trials.baselines}
    ((own_dim, own),) = rates.pop("own").items()
    rows = {LABELS[name]: found for name, found in rates.items()}
    model = {width.dim: width.eer for width in trials.results}
    return rate_table(own_dim, own, rows | {"this model": model}, dims=tuple(model))
