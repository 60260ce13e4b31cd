"""``mrlspk data check``: check a corpus."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mrlspk.cli import output
from mrlspk.cli.completion import complete_model
from mrlspk.cli.corpus_option import CorpusChoice, Jobs
from mrlspk.cli.data.check_text import check_payload, check_tables
from mrlspk.cli.options import (
    AsJson,
    ChannelChoice,
    Debug,
    Device,
    Force,
    Quiet,
    choose_device,
    find_cache_folder,
    read_config,
    resolve_model,
)
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.trial_options import ReportFolder
from mrlspk.data.choices import AUTO, Decode
from mrlspk.errors import DataError

if TYPE_CHECKING:
    from mrlspk.files import Claim
    from mrlspk.workflows.check_data import CorpusReport


def check_command(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder whose subfolders are the speakers.")],
    *,
    corpus: CorpusChoice = AUTO,
    trials: Annotated[
        list[Path] | None,
        option(Panel.DATA, metavar="<file>", help="Trial list whose audio must be in the corpus; repeatable."),
    ] = None,
    against: Annotated[
        list[Path] | None,
        option(Panel.DATA, metavar="<folder>", help="Corpus that must share no speaker name; repeatable."),
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
        Decode, option(Panel.DATA, help="Files to decode: none (no header read, not with --model), fifty, or all.")
    ] = Decode.SAMPLE,
    jobs: Jobs = None,
    channel: ChannelChoice = None,
    model: Annotated[
        str | None,
        option(
            Panel.MODEL,
            metavar="<model>",
            autocompletion=complete_model,
            help="Path or name of a model: are files long enough for it, and voices those of their speakers?",
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        option(Panel.DATA, metavar="<kind>", help="Kind of problem to ignore, such as one_file_speaker; repeatable."),
    ] = None,
    write_excludes: Annotated[
        Path | None,
        option(
            Panel.OUTPUT, metavar="<file>", help="List the utterances to leave out, for data.exclude and --exclude."
        ),
    ] = None,
    report: ReportFolder = None,
    force: Force = False,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Check layout, counts, audio and trials of a corpus.

    With --model also look for wrong speakers. Exit code 3 if there is an error.

    Example:
        mrlspk data check speech --trials trials.txt
    """
    from mrlspk.config.base import channel_number
    from mrlspk.workflows.check_data import check_data, check_kinds

    check_kinds(ignore or ())
    claim = _claim_targets(ctx, write_excludes, report, force=force)
    file = None if model is None else resolve_model(model, quiet=quiet)
    steps = "reading audio", "comparing", "embedding"
    with output.progress_steps(*steps, quiet=quiet) as (on_progress, on_compared, on_embedded):
        found = check_data(
            path,
            corpus=corpus,
            trials=trials or (),
            against=against or (),
            expect=expect,
            decode=decode,
            jobs=jobs,
            channel=channel_number(channel or "mix"),
            model=file,
            device=choose_device(device, read_config(None, None)) if file else device,
            cache_dir=find_cache_folder() if file else None,
            ignore=ignore or (),
            on_progress=on_progress,
            on_compared=on_compared,
            on_embedded=on_embedded,
        )
    payload = check_payload(found, file)
    try:
        if claim is not None:
            payload["excludes"] = _write_excludes(found, claim)
        if report is not None:
            _write_report(payload, report, force=force)
    finally:  # a full disk does not lose what was found
        output.show("data check", payload, check_tables(found), as_json=as_json)
    if not found.ok:
        raise typer.Exit(DataError.exit_code)


def _claim_targets(ctx: typer.Context, excludes: Path | None, report: Path | None, *, force: bool) -> "Claim | None":
    """Check before any work that the files can be written; return the claim on the list of excludes."""
    if report is not None:
        from mrlspk.evaluation.report import check_report

        check_report(report, force=force)
    if excludes is None:
        return None
    from mrlspk.files import claimed_file

    return ctx.with_resource(claimed_file(excludes, force=force))


def _write_excludes(found: "CorpusReport", claim: "Claim") -> dict[str, Any]:
    """Write the list of utterances to leave out; return its entry of the JSON document."""
    from mrlspk.data.exclude import excludes_text

    with claim.writing() as partial:
        partial.write_text(excludes_text(found.excluded), encoding="utf-8")
    output.note(f"excludes: {claim.path}, {len(found.excluded):,} of {found.utterances:,} utterances")
    return {"path": str(claim.path), "utterances": len(found.excluded)}


def _write_report(payload: dict[str, Any], folder: Path, *, force: bool) -> None:
    from mrlspk.evaluation.report import write_report

    write_report(output.document("data check", payload), folder, force=force)
    output.note(f"report: {folder / 'index.html'}")
