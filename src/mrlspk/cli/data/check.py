"""``mrlspk data check``: a corpus checked."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.options import AsJson, Debug, Quiet
from mrlspk.data.choices import Decode
from mrlspk.errors import DataError

if TYPE_CHECKING:
    from mrlspk.workflows.check_data import CorpusReport

SHOWN = 20  # problems in the table; --json has all of them


def check_command(
    path: Annotated[Path, typer.Argument(help="Folder whose subfolders are the speakers.")],
    *,
    trials: Annotated[list[Path] | None, typer.Option(help="Trial list whose audio must be there; repeatable.")] = None,
    against: Annotated[Path | None, typer.Option(help="Corpus that must have other speakers.")] = None,
    expect: Annotated[
        str | None, typer.Option(help="Published counts to meet: vox2-dev, vox1-dev or vox1-test.", metavar="NAME")
    ] = None,
    decode: Annotated[
        Decode, typer.Option(help="Decode no file (nor read headers), fifty, or every one.")
    ] = Decode.SAMPLE,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Threads. Default: one a processor, up to eight.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Check a corpus: layout, counts, audio, trials, overlap. Exit code 3 if there is an error."""
    from mrlspk.workflows.check_data import check_data

    with output.progress("reading audio", quiet=quiet) as on_progress:
        report = check_data(
            path,
            trials=trials or (),
            against=against,
            expect=expect,
            decode=decode,
            jobs=jobs,
            on_progress=on_progress,
        )
    output.show("data check", _payload(report), _human(report), as_json=as_json)
    if not report.ok:
        raise typer.Exit(DataError.exit_code)


def _payload(report: "CorpusReport") -> dict[str, Any]:
    return {
        "path": str(report.path),
        "speakers": report.speakers,
        "utterances": report.utterances,
        **({} if report.seconds is None else {"seconds": report.seconds}),
        "decoded": report.decoded,
        "problems": [asdict(problem) for problem in report.problems],
        "ok": report.ok,
    }


def _human(report: "CorpusReport") -> Iterator[RenderableType]:
    length = [] if report.seconds is None else [("hours", f"{report.seconds / 3600:.2f}")]
    counts = [("speakers", report.speakers), ("utterances", report.utterances), *length, ("decoded", report.decoded)]
    yield output.table(str(report.path), [name for name, _ in counts], [[value for _, value in counts]])
    yield ""
    if report.problems:
        table = output.table(None, ["severity", "kind", "where", "message"], [])
        for column in table.columns:
            column.justify = "left"
        for problem in report.problems[:SHOWN]:
            table.add_row(problem.severity, problem.kind, problem.where, problem.message)
        yield table
    if len(report.problems) > SHOWN:
        yield f"… and {len(report.problems) - SHOWN} more; --json shows all of them"
    n_of = Counter(problem.severity for problem in report.problems)
    yield f"{'ok' if report.ok else 'not ok'}: errors {n_of['error']}, warnings {n_of['warning']}"
