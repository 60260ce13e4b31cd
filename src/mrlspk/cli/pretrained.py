"""``mrlspk pretrained``: the published models."""

import dataclasses
import os
from pathlib import Path
from typing import Annotated

import typer

from mrlspk.cli import output
from mrlspk.cli.options import AsJson, Debug, Force, Quiet

pretrained_app = typer.Typer(no_args_is_help=True, help="List and fetch the published models.")

CacheDir = Annotated[Path | None, typer.Option(help="Folder of fetched files. Default: MRLSPK_CACHE_DIR.")]


@pretrained_app.command("fetch")
def fetch_command(
    name_or_url: Annotated[str, typer.Argument(metavar="NAME_OR_URL", help="Published name, or an address.")],
    *,
    cache_dir: CacheDir = None,
    sha256: Annotated[str | None, typer.Option(help="What the file's SHA-256 must be.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never use the network.")] = False,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Download a published model, verify it and keep it; one that is here already is only verified.

    MRLSPK_MIRROR names an address or a folder that holds copies of the published files.
    """
    from mrlspk.config.environment import read_environment
    from mrlspk.workflows.fetch_pretrained import fetch_pretrained

    environment = read_environment(os.environ)
    with output.progress(f"fetching {name_or_url}", quiet=quiet) as on_progress:
        fetched = fetch_pretrained(
            name_or_url,
            cache_dir=cache_dir or environment.cache_dir,
            mirror=environment.mirror,
            sha256=sha256,
            offline=offline,
            force=force,
            on_progress=on_progress,
        )
    payload = dataclasses.asdict(fetched) | {"path": str(fetched.path)}
    rows = [("name", fetched.name), ("path", fetched.path), ("sha256", fetched.sha256), ("bytes", fetched.bytes)]
    output.show("pretrained fetch", payload, [output.table(None, ("", ""), rows)], as_json=as_json)


@pretrained_app.command("list")
def list_command(
    *,
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - there is no progress to leave out
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Show the published models: licence, EER as published, and whether the file is here."""
    from mrlspk.config.environment import read_environment
    from mrlspk.workflows.fetch_pretrained import list_pretrained

    environment = read_environment(os.environ)
    models = list_pretrained(cache_dir or environment.cache_dir)
    rows = [
        (model.name, _percent(model.published_eer), "yes" if model.cached else "no", _licence(model.licence))
        for model in models
    ]
    shown = output.table(None, ("model", "published EER % O/E/H", "cached", "licence"), rows)
    notes = sorted({f"* {model.licence}" for model in models if _licence(model.licence) != model.licence})
    payload = {"models": [dataclasses.asdict(model) for model in models]}
    output.show("pretrained list", payload, [shown, *notes], as_json=as_json)


def _percent(rates: dict[str, float] | None) -> str:
    """Return the rates in percent, with a third decimal only where it was stated."""
    return " / ".join(f"{100 * rate:.3f}".removesuffix("0") for rate in rates.values()) if rates else "–"


def _licence(text: str) -> str:
    """Return the licence alone, with a star where a remark follows it."""
    licence, remark, _ = text.partition(";")
    return f"{licence} *" if remark else licence
