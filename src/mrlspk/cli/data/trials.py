"""``mrlspk data trials``: trial lists drawn from folders."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.options import AsJson, Debug, Force, Quiet
from mrlspk.data.choices import SameSession

if TYPE_CHECKING:
    from mrlspk.workflows.make_trials import WrittenTrials


def trials_command(
    folders: Annotated[list[Path], typer.Argument(help="Folders whose subfolders are speakers; a list for each.")],
    *,
    list_path: Annotated[
        Path, typer.Option("--output", "-o", help="The list; with several folders, the folder of their lists.")
    ],
    n_trials: Annotated[
        int, typer.Option("--n-trials", "-n", min=2, help="Of each folder, half of them target.")
    ] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    same_session: Annotated[
        SameSession, typer.Option(help="Target trials within a session: where a speaker has but one, never, or freely.")
    ] = SameSession.AVOID,
    match: Annotated[
        str | None, typer.Option(help="Column of --metadata, such as gender, that both speakers agree in.")
    ] = None,
    metadata: Annotated[
        Path | None, typer.Option(help="CSV, TSV or JSON lines that say it of each speaker or utterance.")
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - there is no progress to leave out
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Draw seeded trials from folders and write them, ids relative to each folder."""
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
    payload = {"trials": [_entry(each) for each in lists], "settings": settings}
    output.show("data trials", payload, _human(lists), as_json=as_json)


def _entry(written: "WrittenTrials") -> dict[str, object]:
    return {
        "path": str(written.path),
        "sha256": written.sha256,
        "audio_root": str(written.audio_root),
        "n_target": written.n_target,
        "n_nontarget": written.n_nontarget,
        "n_speakers": written.n_speakers,
        "n_utterances": written.n_utterances,
    }


def _human(lists: Sequence["WrittenTrials"]) -> Iterator[RenderableType]:
    header = ["list", "target", "non-target", "speakers", "utterances"]
    rows = [(each.path, each.n_target, each.n_nontarget, each.n_speakers, each.n_utterances) for each in lists]
    yield output.table(None, header, rows)
    yield ""
    for each in lists:
        yield f"score it: mrlspk eval MODEL --trials {each.path} --audio-root {each.audio_root}"
