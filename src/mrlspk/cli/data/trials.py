"""``mrlspk data trials``: draw trials from folders of speakers."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.corpus_option import CorpusChoice
from mrlspk.cli.options import LARGEST_SEED, MOST, AsJson, Debug, Force, Quiet
from mrlspk.cli.panels import Panel, option
from mrlspk.data.choices import AUTO, SameSession

if TYPE_CHECKING:
    from mrlspk.workflows.make_trials import WrittenTrials


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
    corpus: CorpusChoice = AUTO,
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
        corpus=corpus,
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
