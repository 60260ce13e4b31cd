"""``mrlspk pretrained convert``: a model of any layout in our own."""

import dataclasses
import os
from pathlib import Path
from typing import Annotated

import typer

from mrlspk.cli import output
from mrlspk.cli.model import resolve_model
from mrlspk.cli.options import AsJson, Debug, Force, Quiet


def convert_command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Checkpoint, or a name that `pretrained list` shows.")],
    *,
    out: Annotated[Path, typer.Option("-o", "--output", help="File to write: .pt or .safetensors.")],
    adapter: Annotated[
        Path | None,
        typer.Option(help="Folder of a run's adapters, trained on MODEL: they are merged into it."),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Write a model of any layout in mrlspk's own, without the state of its run: as .pt or .safetensors."""
    from mrlspk.config.sources import read_environment
    from mrlspk.workflows.convert_pretrained import convert_pretrained

    cache_dir = read_environment(os.environ).cache_dir
    converted = convert_pretrained(
        resolve_model(model, quiet=quiet), out, cache_dir=cache_dir, adapter=adapter, force=force
    )
    payload = dataclasses.asdict(converted) | {"path": str(converted.path)}
    rows = [
        ("path", converted.path),
        ("from the layout", converted.family),
        ("widths", ", ".join(map(str, converted.dims))),
        ("sha256", converted.sha256),
        ("bytes", f"{converted.bytes:,}"),
    ]
    output.show("pretrained convert", payload, [output.facts(rows)], as_json=as_json)
