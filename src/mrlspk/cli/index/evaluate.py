"""``mrlspk index evaluate``: measure identification on recordings that are not enrolled."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.index.opening import open_index, typed
from mrlspk.cli.index.options import (
    TEN_TIMES,
    FalseAcceptRate,
    IndexFolder,
    IndexModel,
    LeastSpeech,
    Margin,
    VectorsInPlace,
)
from mrlspk.cli.index.voice_text import counted
from mrlspk.cli.options import AsJson, Debug, Device, Force, Quiet, TrustCode, parse_dims
from mrlspk.cli.output import percent, percent_interval
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.trial_options import ReportFolder
from mrlspk.cli.vectors import IdsPath, SpeakersPath
from mrlspk.errors import UsageError

if TYPE_CHECKING:
    from mrlspk.index.decisions.decision_rates import DecisionRates
    from mrlspk.index.decisions.open_set import WidthIdentification
    from mrlspk.index.evaluating import IndexEvaluation

log = logging.getLogger("mrlspk.index")

MOST_REMARKS = 20  # recordings that are named; --json has all


def evaluate_command(
    folder: IndexFolder,
    recordings: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="Recordings: a subfolder for each speaker, or a table of name and path."),
    ] = None,
    *,
    vectors: VectorsInPlace = None,
    speakers: SpeakersPath = None,
    ids: IdsPath = None,
    false_accept_rate: FalseAcceptRate = 0.01,
    margin: Margin = TEN_TIMES,
    dims: Annotated[
        str | None,
        option(Panel.SCORING, "--dims", metavar="<dims>", help="Widths to compare, e.g. 64,128. Default: all."),
    ] = None,
    min_speech_seconds: LeastSpeech = 1.0,
    report: ReportFolder = None,
    force: Force = False,
    model: IndexModel = None,
    trust_code: TrustCode = False,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Measure identification on recordings that are not enrolled.

    Speakers whose folder has the name of a voice are enrolled, the others are strangers. It needs some of both.

    Example:
        mrlspk index evaluate voices/ speech/test --report page
        mrlspk index evaluate voices/ --vectors test.npz
    """
    from mrlspk.evaluation.report import check_report, write_report
    from mrlspk.index.decisions.document import add_det_curves, open_set_values

    if (recordings is None) == (vectors is None):
        raise UsageError("expected recordings or vectors", fix="Give FOLDER or `vectors`.")
    widths = parse_dims(dims)
    if report is not None:
        check_report(report, force=force)
    index = open_index(folder, model=model, device=device, trust_code=trust_code, quiet=quiet)
    with index, output.progress("embedding", quiet=quiet) as on_progress:
        found = index.evaluate(
            recordings,
            vectors=vectors,
            speakers=speakers,
            ids=ids,
            dims=widths,
            false_accept_rate=false_accept_rate,
            margin=margin,
            min_speech_seconds=min_speech_seconds,
            on_done=on_progress,
        )
    _warn(found)
    payload: dict[str, Any] = {"index": str(folder), **open_set_values(found.report)}
    payload |= {"calibrated": found.is_calibrated, "refused": [asdict(each) for each in found.refused]}
    output.show("index evaluate", payload, _human(found, folder), as_json=as_json)
    if report is not None:
        document = output.document("index evaluate", add_det_curves(payload, found.report))
        write_report(document, report, force=force)
        output.note(f"report: {report / 'index.html'}")


def _warn(found: "IndexEvaluation") -> None:
    for each in found.refused[:MOST_REMARKS]:
        log.warning("left out: %s", each)
    if len(found.refused) > MOST_REMARKS:
        log.warning("left out: %d more recordings", len(found.refused) - MOST_REMARKS)


def _human(found: "IndexEvaluation", folder: Path) -> Iterator[RenderableType]:
    report = found.report
    yield f"{counted(report.n_voices, 'voice')} in the index"
    yield f"{counted(report.n_enrolled, 'recording')} of {counted(report.n_enrolled_speakers, 'enrolled speaker')}"
    yield f"{counted(report.n_unknown, 'recording')} of {counted(report.n_unknown_speakers, 'stranger')}"
    yield "\nIdentified at false alarm rates, in per cent, with 95 % intervals over speakers:"
    heads = [f"at {100 * each.false_alarm_rate:g} %" for each in report.widths[0].rates]
    yield output.table(None, ("width", "best voice", *heads), map(_rates_row, report.widths))
    if any(each.identification_rate is None for width in report.widths for each in width.rates):
        yield "–: too few recordings of strangers to measure so few false alarms"
    if not found.is_calibrated:
        yield f"\nTo get decisions: {typed('calibrate', folder)}"
        return
    yield "\nDecisions, in per cent:"
    columns = "width", "speech", "false accepts told", "measured", "accepted", "wrong name", "ambiguous", "unknown"
    rows = (_decision_row(width.dim, each) for width in report.widths for each in width.decisions)
    yield output.table(None, columns, rows)


def _rates_row(width: "WidthIdentification") -> tuple[object, ...]:
    rates = ((each.identification_rate, each.identification_rate_ci) for each in width.rates)
    return width.dim, *(_with_interval(*each) for each in ((width.rank_1, width.rank_1_ci), *rates))


def _with_interval(rate: float | None, interval: Sequence[float] | None) -> str:
    return percent(rate) if interval is None else f"{percent(rate)} ({percent_interval(interval)})"


def _decision_row(dim: int, rates: "DecisionRates") -> tuple[object, ...]:
    shares = (rates.measured_false_accept_rate, rates.accepted, rates.misidentified, rates.ambiguous, rates.unknown)
    return dim, _seconds(rates), f"{100 * rates.false_accept_rate:g}", *map(percent, shares)


def _seconds(rates: "DecisionRates") -> str:
    if rates.seconds is None:
        return "all"
    above, up_to = rates.seconds
    return f"over {above:g} s" if up_to is None else f"{above:g}–{up_to:g} s"
