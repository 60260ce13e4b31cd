"""``mrlspk data scan``: write a manifest file of a corpus."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.corpus_option import CorpusChoice, ExcludeFiles, Jobs
from mrlspk.cli.options import AsJson, Debug, Force, Quiet
from mrlspk.cli.panels import Panel, option
from mrlspk.data.choices import AUTO
from mrlspk.errors import DataError

if TYPE_CHECKING:
    from mrlspk.workflows.scan_manifest import ScanReport

SHOWN = 20  # errors in the table; JSON has all


class FormatChoice(StrEnum):
    """Formats of manifest files."""

    PARQUET = "parquet"
    JSONL = "jsonl"
    NEMO = "nemo"
    KALDI = "kaldi"


def scan_command(
    path: Annotated[Path, typer.Argument(metavar="CORPUS", help="Folder or manifest file.")],
    *,
    manifest: Annotated[
        Path,
        option(
            Panel.OUTPUT,
            "--output",
            "-o",
            metavar="<file>",
            help="Manifest file to write: .parquet, .jsonl, .json (NeMo), or a folder (Kaldi).",
        ),
    ],
    form: Annotated[
        FormatChoice | None,
        option(Panel.OUTPUT, "--format", help="Format. Default: by the suffix.", show_default=False),
    ] = None,
    update: Annotated[
        bool,
        option(Panel.OUTPUT, help="Read only new files, and those whose size or time of change differ."),
    ] = False,
    corpus: CorpusChoice = AUTO,
    exclude: ExcludeFiles = None,
    jobs: Jobs = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Read all headers of a corpus once, into a manifest file.

    Commands take the file in place of the folder. A killed scan goes on with the same command. Exit code 3 if a file
    cannot be read: it is listed, and the rest is written.

    Example:
        mrlspk data scan speech -o speech.parquet
    """
    from mrlspk.workflows.scan_manifest import scan_manifest

    with output.progress("reading headers", quiet=quiet) as on_progress:
        report = scan_manifest(
            path,
            manifest,
            form=None if form is None else form.value,
            recipe=corpus,
            exclude=exclude or (),
            update=update,
            force=force,
            jobs=jobs,
            on_progress=on_progress,
        )
    output.show("data scan", _payload(report), _tables(report), as_json=as_json)
    if report.errors:
        raise typer.Exit(DataError.exit_code)


def _payload(report: "ScanReport") -> dict[str, Any]:
    return {
        "path": str(report.path),
        "format": report.format,
        "corpus": str(report.corpus),
        "utterances": report.utterances,
        "speakers": report.speakers,
        "seconds": report.seconds,
        "read": report.read,
        "unchanged": report.unchanged,
        "resumed": report.resumed,
        "errors": [{"id": id_, "message": message} for id_, message in report.errors.items()],
        "left_out": [each.entry() for each in report.left_out],
    }


def _tables(report: "ScanReport") -> Iterator[RenderableType]:
    header = ["manifest file", "speakers", "utterances", "hours", "read", "unchanged"]
    hours = f"{report.seconds / 3600:.2f}"
    kept = report.unchanged + report.resumed
    yield output.table(None, header, [[report.path, report.speakers, report.utterances, hours, report.read, kept]])
    if report.errors:
        yield ""
        some = [(each, message.partition("\n")[0]) for each, message in list(report.errors.items())[:SHOWN]]
        yield output.table(f"{len(report.errors):,} cannot be read", ["utterance", "message"], some)
    yield ""
    yield f"check it: mrlspk data check {report.path}"
