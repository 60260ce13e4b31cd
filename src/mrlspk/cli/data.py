"""``mrlspk data``: check a corpus, make a demo corpus, draw trials."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.commands import Commands
from mrlspk.cli.completion import complete_model
from mrlspk.cli.next_commands import after_check
from mrlspk.cli.options import (
    LARGEST_SEED,
    MOST,
    AsJson,
    ChannelChoice,
    Debug,
    Force,
    Quiet,
    model_entry,
    resolve_model,
)
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.problem_tables import problem_tables
from mrlspk.data.choices import Decode, SameSession
from mrlspk.errors import DataError

if TYPE_CHECKING:
    from mrlspk.inference.model_file import ModelFile
    from mrlspk.workflows.check_data import CorpusReport
    from mrlspk.workflows.make_demo import DemoReport
    from mrlspk.workflows.make_trials import WrittenTrials

data_app = Commands(help="Check a corpus, make a demo corpus, or draw trials.")


@data_app.command("check")
def check_command(
    path: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder whose subfolders are the speakers.")],
    *,
    trials: Annotated[
        list[Path] | None,
        option(Panel.DATA, metavar="<file>", help="Trial list whose audio must be in the corpus; repeatable."),
    ] = None,
    against: Annotated[
        Path | None, option(Panel.DATA, metavar="<folder>", help="Corpus that must have other speakers.")
    ] = None,
    expect: Annotated[
        str | None,
        option(Panel.DATA, metavar="<name>", help="Published counts to match: vox2-dev, vox1-dev or vox1-test."),
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
            help="Threads. Default: one per processor, up to eight.",
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
            trials=trials or (),
            against=against,
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


@data_app.command("demo")
def demo_command(
    directory: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder to make.")],
    *,
    speakers: Annotated[int, option(Panel.DATA, min=2, max=10_000, metavar="<n>", help="Training speakers.")] = 24,
    test_speakers: Annotated[
        int, option(Panel.DATA, min=2, max=10_000, metavar="<n>", help="Test speakers, other than those in training.")
    ] = 8,
    utterances: Annotated[
        int, option(Panel.DATA, min=2, max=10_000, metavar="<n>", help="Files per speaker, over two sessions.")
    ] = 8,
    seed: Annotated[
        int, option(Panel.DATA, min=0, max=LARGEST_SEED, metavar="<n>", help="Seed of voices, sentences and trials.")
    ] = 0,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Write a small corpus of synthetic voices to try things on.

    It has folders for training and test, and trials. It says nothing about accuracy.

    Example:
        mrlspk data demo demo
    """
    from mrlspk.workflows.make_demo import make_demo

    with output.progress("synthesising", quiet=quiet) as on_progress:
        report = make_demo(
            directory,
            n_train_speakers=speakers,
            n_test_speakers=test_speakers,
            n_utterances=utterances,
            seed=seed,
            force=force,
            on_progress=on_progress,
        )
    payload = {name: str(getattr(report, name)) for name in ("train", "test", "trials", "note")}
    output.show("data demo", payload, _demo_tables(report), as_json=as_json)


@data_app.command("trials")
def trials_command(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER", help="Folders whose subfolders are the speakers; each gets a list of its own."
        ),
    ],
    *,
    list_path: Annotated[
        Path,
        option(
            Panel.OUTPUT,
            "--output",
            "-o",
            metavar="<path>",
            help="File of the list; for several folders, the folder of the lists.",
        ),
    ],
    n_trials: Annotated[
        int,
        option(
            Panel.DATA,
            "--n-trials",
            "-n",
            min=2,
            max=MOST,
            metavar="<n>",
            help="Trials per folder, half of them target.",
        ),
    ] = 500,
    seed: Annotated[int, option(Panel.DATA, min=0, max=LARGEST_SEED, metavar="<n>", help="Seed of the draw.")] = 0,
    same_session: Annotated[
        SameSession,
        option(
            Panel.DATA,
            help="Target trials within one session: avoid (only if a speaker has one session), never, or allow.",
        ),
    ] = SameSession.AVOID,
    match: Annotated[
        str | None,
        option(
            Panel.DATA,
            metavar="<column>",
            help="Column of --metadata, such as gender, in which both speakers must agree.",
        ),
    ] = None,
    metadata: Annotated[
        Path | None,
        option(Panel.DATA, metavar="<file>", help="CSV, TSV or JSON lines with that column, by speaker or utterance."),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - the command shows no progress
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Draw trials from folders of speakers.

    The same seed draws the same trials. Ids are relative to each folder.

    Example:
        mrlspk data trials speech -o trials.txt
    """
    from mrlspk.workflows.make_trials import make_trials

    lists = make_trials(
        folders,
        list_path,
        n_trials=n_trials,
        seed=seed,
        same_session=same_session,
        match=match,
        metadata=metadata,
        force=force,
    )
    settings = {"seed": seed, "same_session": same_session.value, "match": match}
    payload = {"trials": [_list_entry(each) for each in lists], "settings": settings}
    output.show("data trials", payload, _list_tables(lists), as_json=as_json)


def _check_payload(report: "CorpusReport", model: "ModelFile | None") -> dict[str, Any]:
    return {
        "path": str(report.path),
        "speakers": report.speakers,
        "utterances": report.utterances,
        **({} if report.seconds is None else {"seconds": report.seconds}),
        "decoded": report.decoded,
        "problems": [asdict(problem) for problem in report.problems],
        "ok": report.ok,
        "left_out": [each.entry() for each in report.left_out],
        **({} if report.needs is None else asdict(report.needs)),
        **({} if model is None else {"model": model_entry(model)}),
    }


def _check_tables(report: "CorpusReport") -> Iterator[RenderableType]:
    length = [] if report.seconds is None else [("hours", f"{report.seconds / 3600:.2f}")]
    counts = [("speakers", report.speakers), ("utterances", report.utterances), *length, ("decoded", report.decoded)]
    yield output.table(str(report.path), [name for name, _ in counts], [[value for _, value in counts]])
    if needs := report.needs:
        yield f"{needs.model}: at least {needs.min_samples:,} samples at {needs.sample_rate:,} Hz"
    yield ""
    yield from problem_tables(report.problems)
    yield from after_check(report)


def _demo_tables(report: "DemoReport") -> Iterator[RenderableType]:
    n_train, n_test = (n * report.n_utterances for n in (report.n_train_speakers, report.n_test_speakers))
    rows = [
        (report.train, f"{report.n_train_speakers} speakers, {n_train} utterances"),
        (report.test, f"{report.n_test_speakers} speakers, {n_test} utterances"),
        (report.trials, f"{report.n_target} target, {report.n_nontarget} non-target trials"),
    ]
    yield output.table(None, ["path", "content"], rows)
    yield ""
    yield report.note


def _list_entry(written: "WrittenTrials") -> dict[str, object]:
    return {
        "path": str(written.path),
        "sha256": written.sha256,
        "audio_root": str(written.audio_root),
        "n_target": written.n_target,
        "n_nontarget": written.n_nontarget,
        "n_speakers": written.n_speakers,
        "n_utterances": written.n_utterances,
    }


def _list_tables(lists: Sequence["WrittenTrials"]) -> Iterator[RenderableType]:
    header = ["list", "target", "non-target", "speakers", "utterances"]
    rows = [(each.path, each.n_target, each.n_nontarget, each.n_speakers, each.n_utterances) for each in lists]
    yield output.table(None, header, rows)
    yield ""
    for each in lists:
        yield f"score it: mrlspk eval MODEL --trials {each.path} --audio-root {each.audio_root}"
