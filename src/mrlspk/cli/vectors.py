"""``mrlspk vectors``: inspect and convert vector files of any toolkit, and transform them."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.commands import Commands
from mrlspk.cli.options import AsJson, Debug, Force, Quiet
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.problem_tables import problem_tables
from mrlspk.errors import DataError

if TYPE_CHECKING:
    from mrlspk.workflows.vectors import InspectedVectors

VectorPath = Annotated[
    Path, typer.Argument(metavar="FILE", help="Vectors: .npz, .npy, .ark, .scp, .parquet or .jsonl.")
]
IdsPath = Annotated[
    Path | None,
    option(
        Panel.DATA,
        "--ids",
        metavar="<file>",
        help="Ids of an .npy file, one per line. Default: NAME.ids.txt beside it.",
    ),
]
SpeakersPath = Annotated[
    Path | None,
    option(
        Panel.DATA,
        "--speakers",
        metavar="<file>",
        help="utt2spk, or a table with the columns id and speaker. Default: the id's part before its /.",
    ),
]

vectors_app = Commands(help="Inspect, convert and transform vector files.")


@vectors_app.command("inspect")
def inspect_command(
    file: VectorPath,
    *,
    speakers: SpeakersPath = None,
    ids: IdsPath = None,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - the command shows no progress
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Show size, speakers and problems of a vector file.

    Exit code 3 if there is an error.

    Example:
        mrlspk vectors inspect voices.npz
    """
    from mrlspk.workflows.vectors import inspect_vectors

    report = inspect_vectors(file, speakers=speakers, ids=ids)
    payload = asdict(report) | {"path": str(report.path), "ok": report.ok}
    output.show("vectors inspect", payload, _tables(report), as_json=as_json)
    if not report.ok:
        raise typer.Exit(DataError.exit_code)


@vectors_app.command("convert")
def convert_command(
    file: VectorPath,
    *,
    out: Annotated[
        Path, option(Panel.OUTPUT, "-o", "--output", metavar="<file>", help="File to write; its suffix is the format.")
    ],
    ids: IdsPath = None,
    drop_unusable: Annotated[
        bool,
        option(Panel.DATA, "--drop-unusable", help="Leave out vectors that are zero or not finite, and count them."),
    ] = False,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - the command shows no progress
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Write the vectors of a file in another format.

    Beside an .npy file its ids are written as text, beside an .ark file its .scp.

    Example:
        mrlspk vectors convert voices.npz -o voices.ark
    """
    from mrlspk.workflows.vectors import convert_vectors

    done = convert_vectors(file, out, ids=ids, drop_unusable=drop_unusable, force=force)
    paths = list(map(str, done.paths))
    payload: dict[str, Any] = {"path": paths[0], "files": paths, "count": done.count, "dim": done.dim}
    payload |= {"dropped": list(done.dropped)} if drop_unusable else {}
    rows: list[tuple[str, object]] = [("written", ", ".join(paths)), ("vectors", f"{done.count:,}")]
    rows += [("values", done.dim), *([("left out", f"{len(done.dropped):,}")] if drop_unusable else [])]
    output.show("vectors convert", payload, [output.facts(rows)], as_json=as_json)


@vectors_app.command("apply")
def apply_command(
    file: VectorPath,
    *,
    transform: Annotated[
        Path,
        option(Panel.MODEL, metavar="<file>", help="Transform of `rotate --vectors`, or head of `train --vectors`."),
    ],
    out: Annotated[
        Path, option(Panel.OUTPUT, "-o", "--output", metavar="<file>", help="File to write; its suffix is the format.")
    ],
    dim: Annotated[
        int | None, option(Panel.MODEL, min=1, metavar="<dim>", help="Values to keep, e.g. 64. Default: all.")
    ] = None,
    ids: IdsPath = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - the command shows no progress
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Apply a transform or a head to vectors.

    The vectors are written at unit length.

    Example:
        mrlspk vectors apply voices.npz --transform t.npz -o new.npz
    """
    from mrlspk.workflows.transform_vectors import apply_to_vectors

    done = apply_to_vectors(file, transform, out, dim=dim, ids=ids, force=force)
    paths = list(map(str, done.paths))
    payload: dict[str, Any] = {"path": paths[0], "files": paths, "count": done.count, "dim": done.dim}
    rows = [("written", ", ".join(paths)), ("vectors", f"{done.count:,}"), ("values", done.dim)]
    output.show("vectors apply", payload | {"transform": done.map.summary}, [output.facts(rows)], as_json=as_json)


def _tables(report: "InspectedVectors") -> Iterator[RenderableType]:
    yield output.facts(
        [
            ("file", report.path),
            ("vectors", f"{report.count:,}"),
            ("values", report.dim),
            ("speakers", "unknown" if report.speakers is None else f"{report.speakers:,}"),
            ("fingerprint", report.fingerprint or "none"),
        ]
    )
    yield ""
    yield from problem_tables(report.problems)
