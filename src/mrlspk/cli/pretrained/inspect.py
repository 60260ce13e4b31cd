"""``mrlspk pretrained inspect``: what a checkpoint holds, and what of it loads."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.model import resolve_model
from mrlspk.cli.options import AsJson, Debug, Quiet
from mrlspk.errors import CheckpointError

if TYPE_CHECKING:
    from mrlspk.workflows.inspect_pretrained import InspectedModel


def inspect_command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Checkpoint, or a name that `pretrained list` shows.")],
    *,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Show what a checkpoint holds: layout, configuration, parameters, and which entries of it load.

    Exits 1 where an entry is missing, unknown or of another shape, after it is shown.
    """
    from mrlspk.workflows.inspect_pretrained import inspect_pretrained

    found = inspect_pretrained(resolve_model(file, quiet=quiet).path)
    model = dataclasses.asdict(found.model)
    model["transfer"] = model.pop("report")
    payload = {"path": str(found.path), "sha256": found.sha256, "bytes": found.bytes, **model}
    output.show("pretrained inspect", payload, _shown(found), as_json=as_json)
    if not found.model.report.is_whole:
        raise CheckpointError(
            "its weights do not fit its own configuration", found.path, "If it was downloaded, fetch it again."
        )


def _shown(found: "InspectedModel") -> list[RenderableType]:
    model, report = found.model, found.model.report
    rows = [
        ("file", found.path),
        ("sha256", found.sha256),
        ("bytes", f"{found.bytes:,}"),
        ("layout", model.family),
        ("parameters", f"{model.parameters:,}"),
        ("embedding", f"{model.embed_dim} values"),
        ("widths", ", ".join(map(str, model.dims))),
        ("loads", f"{report.loaded} entries, {report.coverage:.2%} of the values"),
    ]
    settings = [f"  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in model.config.items()]
    title = "configuration, as the file has it:"
    return [output.facts(rows), *_accounts(found), "", title, *settings]


def _accounts(found: "InspectedModel") -> list[str]:
    """Return a line for each entry that is not loaded."""
    from mrlspk.models.checkpoints.state_dict_report import shown_name

    report = found.model.report
    lists = {
        "missing": report.missing,
        "of another kind or shape": report.mismatched,
        "unexpected": report.unexpected,
        "left out, of no use to an embedding": report.left_out,
        "beside configuration and weights": found.model.other_entries,
    }
    lines: list[str] = []
    for title, names in lists.items():
        if names:
            lines += ["", f"{title}:", *(f"  {shown_name(name)}" for name in names)]
    return lines
