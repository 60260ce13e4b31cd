"""``mrlspk data demo``: write a corpus of synthetic voices."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.options import LARGEST_SEED, AsJson, Debug, Force, Quiet
from mrlspk.cli.panels import Panel, option

if TYPE_CHECKING:
    from mrlspk.workflows.make_demo import DemoReport


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
