"""``mrlspk index export``: write the vectors of voices to a vector file."""

from pathlib import Path
from typing import Annotated

from mrlspk.cli import output
from mrlspk.cli.index.opening import open_index
from mrlspk.cli.index.options import IndexFolder, Where
from mrlspk.cli.options import AsJson, Debug, Force, Quiet
from mrlspk.cli.panels import Panel, option


def export_command(
    folder: IndexFolder,
    *,
    out: Annotated[
        Path, option(Panel.OUTPUT, "-o", "--output", metavar="<file>", help="File to write; its suffix is the format.")
    ],
    where: Where = None,
    recordings: Annotated[
        bool, option(Panel.DATA, "--recordings", help="Write a vector for each recording, not for each voice.")
    ] = False,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Write the vectors of voices to a vector file.

    Ids are NAME/1 and so on, one for each condition profile of a voice; with --recordings NAME/SOURCE. Files that can
    hold it (.npz, .jsonl, .parquet) also have the metadata.

    Example:
        mrlspk index export voices/ -o voices.npz
    """
    with open_index(folder, quiet=quiet) as index:
        paths = [str(path) for path in index.export(out, where=where, recordings=recordings, force=force)]
    output.show("index export", {"path": paths[0], "files": paths}, [f"written: {', '.join(paths)}"], as_json=as_json)
