"""``mrlspk calibrate``: fit log-likelihood ratios and thresholds on trials."""

import math
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from rich.console import RenderableType

from mrlspk.cli import output
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
    model_entry,
    parse_dims,
    read_config,
)
from mrlspk.cli.output import cost, percent
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.trial_options import (
    AllowUntrainedDim,
    AudioRoots,
    CohortPath,
    Dims,
    Enrolments,
    EvaluatedSpeech,
    FalseAcceptRates,
    NoCache,
    PTargets,
    ScoreNormChoice,
    TopN,
    VectorsFile,
    VectorSpeakers,
    check_audio_roots,
    check_norm,
    find_model,
    parse_durations,
)

if TYPE_CHECKING:
    from mrlspk.evaluation.calibration_fit import WidthFit
    from mrlspk.workflows.calibrate import CalibrateReport


class Quality(StrEnum):
    """What ratios depend on besides the score."""

    DURATION = "duration"


def calibrate_command(
    model: ModelArgument = None,
    *,
    vectors: VectorsFile = None,
    speakers: VectorSpeakers = None,
    trials: Annotated[
        list[Path] | None,
        option(
            Panel.DATA,
            "--trials",
            metavar="<file>",
            help="Trial list to fit on; repeatable. Default: the configuration's, or the checkpoint's.",
        ),
    ] = None,
    audio_root: AudioRoots = None,
    enroll: Enrolments = None,
    dims: Dims = None,
    allow_untrained_dim: AllowUntrainedDim = False,
    p_target: PTargets = None,
    far: FalseAcceptRates = None,
    quality: Annotated[
        Quality | None, option(Panel.FITTING, help="Let ratios also depend on the duration of the shorter recording.")
    ] = None,
    durations: Annotated[
        str | None,
        option(
            Panel.FITTING,
            metavar="<seconds>",
            help="Crop test sides to these seconds, in turn. Default: full; 2,3,5,full with --quality.",
        ),
    ] = None,
    score_norm: ScoreNormChoice = None,
    cohort: CohortPath = None,
    top_n: TopN = None,
    speech: EvaluatedSpeech = None,
    channel: ChannelChoice = None,
    out: Annotated[
        Path | None,
        option(
            Panel.OUTPUT,
            "-o",
            "--output",
            metavar="<file>",
            help="File to write. Default: MODEL.calibration.json beside it.",
        ),
    ] = None,
    force: Force = False,
    no_cache: NoCache = False,
    config: ConfigPath = None,
    overrides: Overrides = None,
    trust_code: TrustCode = False,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Fit likelihood ratios and thresholds on trials.

    `verify` and `eval` read the file that it writes beside the model. Without --trials it fits on the held-out speakers
    of the model's run, which chose the checkpoint.

    Example:
        mrlspk calibrate best.pt --trials trials.txt --audio-root speech
    """
    from mrlspk.files import UnwrittenError
    from mrlspk.workflows.calibrate import CalibrationRequest, calibrate

    check_audio_roots(audio_root or ())
    request = CalibrationRequest(
        trials=tuple(trials or ()),
        audio_roots=tuple(audio_root or ()),
        enrolments=tuple(enroll or ()),
        speakers=speakers,
        dims=parse_dims(dims),
        allow_untrained_dim=allow_untrained_dim,
        p_targets=tuple(p_target) if p_target else None,
        false_accept_rates=tuple(far) if far else None,
        quality="duration" if quality else None,
        crops=parse_durations(durations),
        out=out,
        force=force,
    )
    settings = read_config(
        config,
        overrides,
        score_norm=score_norm,
        cohort=cohort,
        top_n=top_n,
        speech=speech,
        channel=channel,
        cache=False if no_cache else None,
    )
    check_norm(settings, cohort, top_n)
    check_speech(settings.evaluation.speech)
    file = find_model(model, vectors, quiet=quiet, trust_code=trust_code)
    try:
        with output.progress("embedding", quiet=quiet) as on_progress:
            report = calibrate(
                file,
                request,
                config=settings,
                device=choose_device(device, settings),
                cache_dir=find_cache_folder(),
                on_progress=on_progress,
            )
    except UnwrittenError as error:
        _show(cast("CalibrateReport", error.result), as_json=as_json)
        raise
    _show(report, as_json=as_json)


def _show(report: "CalibrateReport", *, as_json: bool) -> None:
    output.show("calibrate", _payload(report), _human(report), as_json=as_json)


def _payload(report: "CalibrateReport") -> dict[str, Any]:
    content = report.file.content
    return {
        "model": model_entry(report.model),
        "fingerprint": content.fingerprint,
        "path": str(report.file.path) if report.is_written else None,
        "speech": content.speech,
        "speech_detector": content.speech_detector,
        "score_norm": content.score_norm,
        "top_n": content.top_n,
        "cohort": content.cohort and content.cohort.model_dump(),
        "quality": content.quality,
        "seconds_range": content.seconds_range and list(content.seconds_range),
        "durations": list(content.crop_seconds),
        "fit_p_target": content.fit_p_target,
        "scored_with": content.scored_with,
        "llr_bounds": list(content.llr_bounds),
        "trials": [
            each.model_dump(exclude={"speakers"}) | {"n_speakers": len(each.speakers), "source": source}
            for each, source in zip(content.trials, report.sources, strict=True)
        ],
        "n_target": report.n_target,
        "n_nontarget": report.n_nontarget,
        "n_left_out": report.n_left_out,
        "results": [_width_payload(each) for each in report.results],
    }


def _width_payload(fit: "WidthFit") -> dict[str, Any]:
    width = fit.width
    return {
        "dim": width.dim,
        "scale": width.scale,
        "offset": width.offset,
        "duration_weight": width.duration_weight,
        "cllr": fit.metrics.cllr,
        "min_cllr": fit.metrics.min_cllr,
        "cllr_by_score": fit.cllr_by_score,
        "dcf": [
            {
                "p_target": cost.p_target,
                "min_dcf": cost.min_dcf,
                "act_dcf": cost.act_dcf,
                "llr_threshold": prior.llr,
                "threshold": prior.score,
            }
            for cost, prior in zip(fit.metrics.dcf, width.priors, strict=True)
        ],
        "false_accepts": [
            {
                "far": each.far,
                "llr_threshold": each.llr,
                "threshold": each.score,
                "p_fa": each.p_fa,
                "p_miss": each.p_miss,
            }
            for each in width.false_accepts
        ],
    }


def _human(report: "CalibrateReport") -> Iterator[RenderableType]:
    content = report.file.content
    for each, source in zip(content.trials, report.sources, strict=True):
        yield each.path if source == "--trials" else f"{each.path}\n{source}"
    if content.scored_with is not None:
        yield f"scores of {content.scored_with}, the same recipe without the speakers of these trials"
    yield f"{report.n_target} target and {report.n_nontarget} non-target trials"
    if content.seconds_range:
        yield "shorter recording of each trial: {:.1f}–{:.1f} s".format(*content.seconds_range)
    if content.speech != "all":
        yield f"embedded: {content.describe_speech()}"
    if report.n_left_out:
        yield f"{report.n_left_out} trials left out: one side is shorter than the crop"
    yield "\nMetrics on the trials that it was fitted on; run `mrlspk eval` on another list to test it:"
    yield output.table(None, *_metrics(report))
    yield ""
    yield output.table(None, *_thresholds(report))
    low, high = content.llr_bounds
    limits = f"1/{math.exp(-low):,.0f} and {math.exp(high):,.0f}"
    yield f"\nlikelihood ratios are limited to {limits}, which is what the number of trials supports"
    if report.is_written:
        yield f"written to {report.file.path}"


def _metrics(report: "CalibrateReport") -> tuple[list[str], list[list[str]]]:
    by_score = report.file.content.quality is not None
    costs = [name for each in report.results[0].metrics.dcf for name in _cost_names(each.p_target)]
    columns = ["width", "minCllr", "Cllr", *(["Cllr by score alone"] if by_score else []), *costs]
    rows = [
        [
            str(fit.width.dim),
            cost(fit.metrics.min_cllr),
            f"{fit.metrics.cllr:.4f}",
            *([f"{fit.cllr_by_score:.4f}"] if fit.cllr_by_score is not None else []),
            *(f"{value:.4f}" for each in fit.metrics.dcf for value in (each.min_dcf, each.act_dcf)),
        ]
        for fit in report.results
    ]
    return columns, rows


def _cost_names(p_target: float) -> tuple[str, str]:
    return f"minDCF({p_target:g})", f"actDCF({p_target:g})"


def _thresholds(report: "CalibrateReport") -> tuple[list[str], list[list[str]]]:
    """Return a row for each width and threshold: as a score if the score alone decides, otherwise as a ratio."""
    columns = ["width", "decision at", "LLR", "false accepts %", "misses %"]
    if by_score := report.file.content.quality is None:
        columns.insert(3, "threshold")
    rows = []
    for fit in report.results:
        for prior in fit.width.priors:
            score = [f"{prior.score:.4f}"] if by_score else []
            rows.append([str(fit.width.dim), f"prior {prior.p_target:g}", f"{prior.llr:.2f}", *score, "", ""])
        for each in fit.width.false_accepts:
            score = [f"{each.score:.4f}"] if by_score else []
            rates = percent(each.p_fa), percent(each.p_miss)
            rows.append([str(fit.width.dim), f"false accepts {each.far:g}", f"{each.llr:.2f}", *score, *rates])
    return columns, rows
