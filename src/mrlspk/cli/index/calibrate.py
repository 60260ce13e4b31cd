"""``mrlspk index calibrate``: fit decisions to the voices enrolled."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.index.opening import open_index, typed
from mrlspk.cli.index.options import IndexFolder, IndexModel
from mrlspk.cli.options import AsJson, Debug, Device, Quiet, TrustCode, parse_dims
from mrlspk.cli.output import percent
from mrlspk.cli.panels import Panel, option

if TYPE_CHECKING:
    from mrlspk.index.decisions.expected import ExpectedRates
    from mrlspk.index.decisions.fitting import CalibrationReport

log = logging.getLogger("mrlspk.index")


def calibrate_command(
    folder: IndexFolder,
    *,
    further: Annotated[
        Path | None,
        option(
            Panel.DATA,
            "--folder",
            metavar="<folder>",
            help="Further recordings to fit to, a subfolder for each speaker; or a table as of `add`.",
        ),
    ] = None,
    no_cuts: Annotated[
        bool, option(Panel.FITTING, "--no-cuts", help="Do not cut recordings to 2, 4 and 8 seconds of speech.")
    ] = False,
    dims: Annotated[
        str | None,
        option(Panel.FITTING, "--dims", metavar="<dims>", help="Widths to calibrate, e.g. 64,128. Default: all."),
    ] = None,
    model: IndexModel = None,
    trust_code: TrustCode = False,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Fit decisions to the voices enrolled.

    `identify` and `verify` use them. Each recording is compared with its voice made without it, and with all others. It
    takes 20 voices with two recordings, best of different days. Recordings whose files are still there are also cut
    short.

    Example:
        mrlspk index calibrate voices/
    """
    from mrlspk.index.voice_index import CUT_SECONDS

    widths = parse_dims(dims)
    index = open_index(folder, model=model, device=device, trust_code=trust_code, quiet=quiet)
    with index, output.progress("embedding", quiet=quiet) as on_progress:
        report = index.calibrate(further, dims=widths, cut_seconds=() if no_cuts else CUT_SECONDS, on_done=on_progress)
    for text in report.warnings:
        log.warning("%s", text)
    output.show("index calibrate", _payload(report), _human(report, folder), as_json=as_json)


def _payload(report: "CalibrationReport") -> dict[str, Any]:
    fitted = report.calibration
    return {
        "voices": fitted.n_voices,
        "target_voices": fitted.n_target_voices,
        "across_folders": fitted.n_across_folders,
        "n_target": fitted.n_target,
        "n_nontarget": fitted.n_nontarget,
        "cut_seconds": list(fitted.cut_seconds),
        "seconds_range": list(fitted.seconds_range),
        "llr_bounds": list(fitted.llr_bounds),
        "rates": [
            {
                "dim": each.dim,
                "false_accept_rate": each.false_accept_rate,
                "measured": each.measured,
                "miss_rate": each.miss_rate,
                "extrapolated": each.is_extrapolated,
            }
            for each in report.expected
        ],
        "look_alikes": [list(pair) for pair in report.look_alikes],
    }


def _human(report: "CalibrationReport", folder: Path) -> Iterator[RenderableType]:
    fitted = report.calibration
    yield (
        f"fitted to {fitted.n_target:,} recordings against their own voices, of {fitted.n_target_voices:,} voices, "
        f"and {fitted.n_nontarget:,} comparisons with others"
    )
    if fitted.cut_seconds:
        lengths = " s, ".join(f"{each:g}" for each in fitted.cut_seconds)
        yield f"recordings were also cut to this much speech: {lengths} s"
    yield f"\nA search over {fitted.n_voices:,} voices: strangers accepted, and enrolled speakers missed"
    columns = "width", "false accepts %", "measured %", "misses %"
    yield output.table(None, columns, ((each.dim, *_rates(each)) for each in report.expected))
    if any(each.is_extrapolated for each in report.expected):
        yield "*: beyond what so few voices can measure, so extrapolated"
    if fitted.fingerprint is None:
        yield f"\nTo test it on other vectors: {typed('evaluate', folder)} --vectors FILE"
    else:
        yield f"\nTo test it on other recordings: {typed('evaluate', folder)} FOLDER"


def _rates(rates: "ExpectedRates") -> tuple[str, str, str]:
    mark = "*" if rates.is_extrapolated else ""
    return f"{100 * rates.false_accept_rate:g}{mark}", percent(rates.measured), percent(rates.miss_rate)
