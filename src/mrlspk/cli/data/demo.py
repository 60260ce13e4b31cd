"""``mrlspk data demo``: a small corpus of synthetic voices."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.options import AsJson, Debug, Force, Quiet

if TYPE_CHECKING:
    from mrlspk.workflows.make_demo import DemoReport


def demo_command(
    directory: Annotated[Path, typer.Argument(help="Folder to make.")],
    *,
    speakers: Annotated[int, typer.Option(min=2, help="Speakers to train on.")] = 24,
    test_speakers: Annotated[int, typer.Option(min=2, help="Other speakers to test on.")] = 8,
    utterances: Annotated[int, typer.Option(min=2, help="Files a speaker, over two sessions.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of voices, sentences and trials.")] = 0,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Write a small corpus of synthetic voices: train, test and trials. It says nothing about accuracy."""
    from mrlspk.workflows.make_demo import make_demo

    with output.progress("speaking", quiet=quiet) as on_progress:
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
    output.show("data demo", payload, _human_demo(report), as_json=as_json)


def _human_demo(report: "DemoReport") -> Iterator[RenderableType]:
    n_train, n_test = (n * report.n_utterances for n in (report.n_train_speakers, report.n_test_speakers))
    rows = [
        (report.train, f"{report.n_train_speakers} speakers, {n_train} utterances"),
        (report.test, f"{report.n_test_speakers} speakers, {n_test} utterances"),
        (report.trials, f"{report.n_target} target, {report.n_nontarget} non-target trials"),
    ]
    yield output.table(None, ["path", "what it holds"], rows)
    yield ""
    yield report.note
