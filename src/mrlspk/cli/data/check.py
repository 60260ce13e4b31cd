"""``mrlspk data check``: check a corpus."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.completion import complete_model
from mrlspk.cli.corpus_option import CorpusChoice
from mrlspk.cli.next_commands import after_check
from mrlspk.cli.options import AsJson, ChannelChoice, Debug, Quiet, model_entry, resolve_model
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.problem_tables import problem_tables
from mrlspk.data.choices import AUTO, Decode
from mrlspk.errors import DataError

if TYPE_CHECKING:
    from mrlspk.data.problems import Problem
    from mrlspk.inference.model_file import ModelFile
    from mrlspk.workflows.check_data import CorpusReport


def check_command(
    path: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder whose subfolders are the speakers.")],
    *,
    corpus: CorpusChoice = AUTO,
    trials: Annotated[
        list[Path] | None,
        option(Panel.DATA, metavar="<file>", help="Trial list whose audio must be in the corpus; repeatable."),
    ] = None,
    against: Annotated[
        list[Path] | None,
        option(Panel.DATA, metavar="<folder>", help="Corpus that must have other speakers; repeatable."),
    ] = None,
    expect: Annotated[
        str | None,
        option(
            Panel.DATA,
            metavar="<name>",
            help="Published counts to match: a name of docs/data.md, such as vox2-dev.",
        ),
    ] = None,
    decode: Annotated[
        Decode, option(Panel.DATA, help="Files to decode: none (headers are not read either), fifty, or all.")
    ] = Decode.SAMPLE,
    jobs: Annotated[
        int | None,
        option(
            Panel.MACHINE,
            min=1,
            max=1024,
            metavar="<n>",
            help="Processes. Default: one per core, up to eight.",
            show_default=False,
        ),
    ] = None,
    channel: ChannelChoice = None,
    model: Annotated[
        str | None,
        option(
            Panel.MODEL,
            metavar="<model>",
            autocompletion=complete_model,
            help="Path or name of the model to embed with: is every file long enough for it?",
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Check layout, counts, audio and trials of a corpus.

    Exit code 3 if there is an error.

    Example:
        mrlspk data check speech --trials trials.txt
    """
    from mrlspk.config.base import channel_number
    from mrlspk.workflows.check_data import check_data

    file = None if model is None else resolve_model(model, quiet=quiet)
    with output.progress("reading audio", quiet=quiet) as on_progress:
        report = check_data(
            path,
            corpus=corpus,
            trials=trials or (),
            against=against or (),
            expect=expect,
            decode=decode,
            jobs=jobs,
            channel=channel_number(channel or "mix"),
            model=file,
            on_progress=on_progress,
        )
    output.show("data check", _check_payload(report, file), _check_tables(report), as_json=as_json)
    if not report.ok:
        raise typer.Exit(DataError.exit_code)


def _check_payload(report: "CorpusReport", model: "ModelFile | None") -> dict[str, Any]:
    return {
        "path": str(report.path),
        "corpus": report.corpus,
        "speakers": report.speakers,
        "utterances": report.utterances,
        **({} if report.seconds is None else {"seconds": report.seconds}),
        "decoded": report.decoded,
        "problems": [_problem_entry(problem) for problem in report.problems],
        "ok": report.ok,
        "left_out": [each.entry() for each in report.left_out],
        **({} if report.needs is None else asdict(report.needs)),
        **({} if model is None else {"model": model_entry(model)}),
    }


def _problem_entry(problem: "Problem") -> dict[str, str]:
    from mrlspk.data.checks.kinds import KINDS

    return {**asdict(problem), "fix": KINDS[problem.kind].fix}


def _check_tables(report: "CorpusReport") -> Iterator[RenderableType]:
    length = [] if report.seconds is None else [("hours", f"{report.seconds / 3600:.2f}")]
    counts = [("speakers", report.speakers), ("utterances", report.utterances), *length, ("decoded", report.decoded)]
    yield output.table(str(report.path), [name for name, _ in counts], [[value for _, value in counts]])
    if needs := report.needs:
        yield f"{needs.model}: at least {needs.min_samples:,} samples at {needs.sample_rate:,} Hz"
    yield ""
    yield from problem_tables(report.problems)
    yield from _fixes(report.problems)
    yield from after_check(report)


def _fixes(problems: Sequence["Problem"]) -> Iterator[RenderableType]:
    """Yield a table of what to do about each kind of problem."""
    from mrlspk.data.checks.kinds import KINDS

    if problems:
        counts = Counter(problem.kind for problem in problems)
        yield ""
        yield output.table(
            None, ("kind", "n", "what to do"), ((kind, n, KINDS[kind].fix) for kind, n in counts.items())
        )
