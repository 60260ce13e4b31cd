"""``mrlspk verify``: decide whether two recordings are of the same speaker."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.flag_names import with_flags
from mrlspk.cli.options import (
    AsJson,
    ChannelChoice,
    Debug,
    Device,
    ModelOption,
    Quiet,
    Speech,
    TrustCode,
    check_speech,
    choose_device,
    find_cache_folder,
    model_entry,
    parse_dims,
    read_config,
    resolve_model,
    speech_option,
)
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.score_range_text import HEADINGS, explain_ranges, shown_ranges
from mrlspk.cli.trial_options import AllowUntrainedDim, Dims, check_rate

# No published model has been measured on speech that allows a calibration for any recordings.
NONE_SHIPPED = "No calibration is shipped with a published model: fit one on recordings like yours."
DEFAULT_PRIOR = "\n(the calibration's default; `p_target=0.5` expects as many same as different speakers)"

if TYPE_CHECKING:
    from mrlspk.config.evaluation import SpeechMode
    from mrlspk.workflows.verify import VerifyReport, WidthScore


def verify_command(
    first: Annotated[Path, typer.Argument(metavar="A", help="Audio file.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Audio file.")],
    *,
    model: ModelOption = None,
    dims: Dims = None,
    p_target: Annotated[
        float | None,
        option(
            Panel.SCORING,
            callback=check_rate,
            metavar="<prior>",
            help="Share of pairs expected to be of the same speaker: 0.5 is even, a lower one accepts less. "
            "Default: the calibration's first, 0.01 unless it was given others.",
        ),
    ] = None,
    far: Annotated[
        float | None,
        option(
            Panel.SCORING,
            callback=check_rate,
            metavar="<rate>",
            help="False-accept rate to decide at; the calibration must have measured it.",
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        option(Panel.SCORING, metavar="<file>", help="File of `mrlspk calibrate`. Default: the one beside the model."),
    ] = None,
    cohort: Annotated[
        Path | None,
        option(
            Panel.SCORING, metavar="<path>", help="Cohort for score normalisation. Default: the one of the calibration."
        ),
    ] = None,
    speech: Annotated[Speech | None, speech_option("that of the calibration, or auto without one")] = None,
    channel: ChannelChoice = None,
    allow_untrained_dim: AllowUntrainedDim = False,
    trust_code: TrustCode = False,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Decide whether two recordings are of the same speaker.

    A decision needs a calibration: see `mrlspk calibrate`.

    Example:
        mrlspk verify a.wav b.wav
    """
    from mrlspk.workflows.embed_inputs import refuse_missing
    from mrlspk.workflows.verify import verify

    widths, settings = parse_dims(dims), read_config(None, None, channel=channel)
    mode: SpeechMode | None = None if speech is None else speech.value
    if mode is not None:
        check_speech(mode)
    refuse_missing([str(first), str(second)])
    file = resolve_model(model, quiet=quiet, trust_code=trust_code)
    with output.progress("embedding", quiet=quiet) as on_progress:
        report = verify(
            file,
            first,
            second,
            config=settings,
            dims=widths,
            p_target=p_target,
            far=far,
            calibration=calibration,
            cohort=cohort,
            speech=mode,
            allow_untrained_dim=allow_untrained_dim,
            device=choose_device(device, settings),
            cache_dir=find_cache_folder(),
            on_progress=on_progress,
        )
    human = _human(report, allow_untrained_dim=allow_untrained_dim)
    output.show("verify", _payload(report), human, as_json=as_json)


def _payload(report: "VerifyReport") -> dict[str, object]:
    calibration, decision = report.calibration, report.decision
    return {
        "model": model_entry(report.model),
        "fingerprint": report.fingerprint,
        "calibration": calibration
        and {
            "path": str(calibration.path),
            "trials": [{"path": each.path, "sha256": each.sha256} for each in calibration.content.trials],
            "score_norm": calibration.content.score_norm,
            "quality": calibration.content.quality,
            "speech": calibration.content.speech,
            "speech_detector": calibration.content.speech_detector,
            "llr_bounds": list(calibration.content.llr_bounds),
        },
        "decision": decision and {"p_target": decision.p_target, "far": decision.far},
        "speech": report.speech,
        "speech_detector": report.speech_detector,
        "undecided": report.undecided and with_flags(report.undecided),
        "files": [
            {
                "path": each.path,
                "seconds": each.seconds,
                "speech_seconds": each.speech_seconds,
                "warnings": list(each.warnings),
            }
            for each in report.files
        ],
        "scores": [
            {
                "dim": each.dim,
                "cosine": each.cosine,
                "score": each.score,
                "threshold": each.threshold,
                "same": each.same,
                "llr": each.llr,
            }
            for each in report.scores
        ],
        "score_ranges": [each.model_dump() for each in report.score_ranges],
    }


def _human(report: "VerifyReport", *, allow_untrained_dim: bool) -> Iterator[RenderableType]:
    rows = [
        (each.path, f"{each.seconds:.2f}", _shown(each.speech_seconds, ".2f"), ", ".join(each.warnings))
        for each in report.files
    ]
    yield output.table(None, ("file", "seconds", "speech", "warnings"), rows)
    yield ""
    widest = next((each for each in reversed(report.scores) if each.llr is not None), None)
    if widest is not None:
        yield _answer(widest, report)
    yield output.table(None, *_scores(report))
    yield "\n" + (_grounds(report) if widest is not None else _no_decision(report, untrained=allow_untrained_dim))


def _answer(score: "WidthScore", report: "VerifyReport") -> str:
    """Return the decision at the widest width, with its likelihood ratio."""
    llr = score.llr or 0.0
    bounds = report.calibration.content.llr_bounds if report.calibration else (-math.inf, math.inf)
    rejected = "different speakers" if llr < 0 else "not accepted as the same speaker"
    decision = "same speaker" if score.same else rejected
    return f"{decision} (likelihood ratio {_ratio(llr, *bounds)}), at width {score.dim}"


def _ratio(llr: float, low: float, high: float) -> str:
    """Return a likelihood ratio with two digits, as ``7,200`` or ``1/7,200``; at a bound it may be beyond it."""
    inverse = "1/" if llr < 0 else ""
    beyond = "at most " if llr <= low else "at least " if llr >= high else ""
    size = float(f"{math.exp(abs(llr)):.2g}")
    return beyond + inverse + (f"{size:,.0f}" if size >= 10 else f"{size:g}")


def _scores(report: "VerifyReport") -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """Return the columns and rows of the scores; a column without values is left out."""
    normalised = report.calibration is not None and report.calibration.content.cohort is not None
    columns: list[tuple[str, Callable[[WidthScore], object]]] = [
        ("width", lambda each: each.dim),
        ("cosine", lambda each: f"{each.cosine:.4f}"),
    ]
    ranges = {each.dim: each for each in report.score_ranges}
    if ranges and report.calibration is None:
        same, different = HEADINGS
        columns.append((same, lambda each: shown_ranges(ranges.get(each.dim))[0]))
        columns.append((different, lambda each: shown_ranges(ranges.get(each.dim))[1]))
    if normalised:
        columns.append(("score", lambda each: f"{each.score:.4f}"))
    if any(each.threshold is not None for each in report.scores):
        columns.append(("threshold", lambda each: _shown(each.threshold, ".4f")))
    if any(each.llr is not None for each in report.scores):
        columns.append(("LLR", lambda each: _shown(each.llr, "+.2f")))
        columns.append(("same speaker", lambda each: "" if each.same is None else "yes" if each.same else "no"))
    return tuple(name for name, _ in columns), [tuple(show(each) for _, show in columns) for each in report.scores]


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _grounds(report: "VerifyReport") -> str:
    """Return the operating point and the calibration of the decision."""
    decision, calibration = report.decision, report.calibration
    if decision is None or calibration is None:
        return ""
    at = (
        f"a prior of {decision.p_target:g} for the same speaker, with equal costs of misses and false accepts"
        f"{with_flags(DEFAULT_PRIOR) if decision.is_default else ''}"
        if decision.p_target is not None
        else f"a false-accept rate of {decision.far:g}, as measured by the calibration"
    )
    return f"decided at {at}\ncalibration: {calibration.path}"


def _no_decision(report: "VerifyReport", *, untrained: bool) -> str:
    """Return why there is no decision and how to get one."""
    from mrlspk.evaluation.calibration_file import calibrate_command

    if report.undecided is not None:
        return f"no decision: {with_flags(report.undecided)}"
    if report.calibration is None:
        published = f"\n{NONE_SHIPPED}" if report.model.published else ""
        ranges = explain_ranges(report.scores, report.score_ranges)
        return (
            f"{ranges + '\n\n' if ranges else ''}"
            "no decision: this model has no calibration, and thresholds of other models or recordings do not apply."
            f"{published}\n{_to_calibrate(calibrate_command(report.model, speech=report.speech))}"
        )
    widths = [each.dim for each in report.scores]
    dims = {*widths, *report.calibration.content.dims}
    command = calibrate_command(report.model, report.calibration.path, dims=dims, speech=report.speech)
    flag = " --allow-untrained-dim" if untrained else ""
    named = f"width {widths[0]} is" if len(widths) == 1 else f"widths {', '.join(map(str, widths))} are"
    return f"no decision: {named} not calibrated\n{_to_calibrate(f'{command}{flag}')}"


def _to_calibrate(command: str) -> str:
    """Return what to type, and how to get the trials that it asks for."""
    if "--trials FILE" not in command:
        return f"To calibrate: {command}"
    return f"To calibrate: {command}\nTo draw its trials from a folder of speakers: mrlspk data trials DIR -o FILE"
