"""``mrlspk pretrained add``: a model of one's own under a name."""

import os
from pathlib import Path
from typing import Annotated

import typer

from mrlspk.cli import output
from mrlspk.cli.options import AsJson, CacheDir, Debug, Force, Quiet


def add_command(
    file: Annotated[Path, typer.Argument(help="Checkpoint of any layout that mrlspk reads.")],
    *,
    name: Annotated[str, typer.Option("--name", help="What to call it: lower-case letters, digits, . _ + -")],
    licence: Annotated[
        str | None, typer.Option("--licence", help="Terms of its use. Default: as its card or the registry says.")
    ] = None,
    cache_dir: CacheDir = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - there is no progress to leave out
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Keep a copy of a model of your own under a name, which every MODEL argument then takes.

    What only training needs (optimiser, class weights) is left out. The file is verified every time it is used.
    """
    from mrlspk.config.sources import read_environment
    from mrlspk.workflows.add_pretrained import add_pretrained

    environment = read_environment(os.environ)
    added = add_pretrained(file, name, licence=licence, cache_dir=cache_dir or environment.cache_dir, force=force)
    model = added.model
    payload = {
        "name": model.name,
        "path": str(added.path),
        "sha256": model.sha256,
        "bytes": model.bytes,
        "family": model.family,
        "dims": list(model.dims),
        "licence": model.licence,
        "non_commercial": model.non_commercial,
    }
    shown = payload | {
        "dims": ", ".join(map(str, model.dims)),
        "non_commercial": {True: "yes", False: "no", None: "unknown"}[model.non_commercial],
    }
    rows = [(key.replace("_", " "), value) for key, value in shown.items()]
    output.show("pretrained add", payload, [output.facts(rows)], as_json=as_json)
