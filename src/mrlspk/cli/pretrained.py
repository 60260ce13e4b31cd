"""``mrlspk pretrained``: the published models."""

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrlspk.cli import output
from mrlspk.cli.options import AsJson, Debug, Force, Quiet

if TYPE_CHECKING:
    from mrlspk.pretrained.registry import PublishedModel

pretrained_app = typer.Typer(no_args_is_help=True, help="List and fetch the published models.")

CacheDir = Annotated[Path | None, typer.Option(help="Folder of fetched files. Default: MRLSPK_CACHE_DIR.")]

DESCRIBED = "model", "params", "GMACs", "EER % O/E/H", "licence"
VOX1 = "vox1-o", "vox1-e", "vox1-h"
NOTES = (
    "",
    "EER on VoxCeleb1-O/E/H as published; none was measured here. --json says where each is stated.",
    "non-commercial: trained on VoxBlink2, which is CC BY-NC-SA.",
)


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

    A download that broke off goes on where it stopped. MRLSPK_MIRROR names an address or a folder that holds copies of
    the published files.
    """
    from mrlspk.config.environment import read_environment
    from mrlspk.workflows.fetch_pretrained import fetch_pretrained

    environment = read_environment(os.environ)
    with output.progress(name_or_url, quiet=quiet) as on_progress:
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
    output.show("pretrained fetch", payload, [output.facts(rows)], as_json=as_json)


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
    rows = [(*describe(model.published), "yes" if model.cached else "no") for model in models]
    shown = output.table(None, (*DESCRIBED, "cached"), rows)
    payload = {"models": [_entry(model.published, sha256=model.sha256, cached=model.cached) for model in models]}
    output.show("pretrained list", payload, [shown, *NOTES], as_json=as_json)


def _entry(model: "PublishedModel", *, sha256: str | None, cached: bool) -> dict[str, object]:
    """Return what the JSON document says of a model; where the file is published is one address."""
    stated = model.model_dump(exclude={"file", "base_url"})
    return {"name": model.name, "url": model.url, **stated, "sha256": sha256, "cached": cached}


def describe(model: "PublishedModel") -> tuple[str, ...]:
    """Return what a table says of a model, in the columns of `DESCRIBED`."""
    return (
        model.name,
        "–" if model.parameters is None else f"{model.parameters:.1f} M",
        "–" if model.gmacs is None else f"{model.gmacs:.2f}",
        _percent(model.published_eer),
        _licence(model),
    )


def _percent(rates: dict[str, float] | None) -> str:
    """Return the rates on the lists of VoxCeleb1 in percent, with a third decimal where one was stated."""
    if rates is None or not rates.keys() >= set(VOX1):
        return "–"
    thousandths = [round(100_000 * rates[trials]) for trials in VOX1]
    digits = 3 if any(rate % 10 for rate in thousandths) else 2
    return "/".join(f"{rate / 1000:.{digits}f}" for rate in thousandths)


def _licence(model: "PublishedModel") -> str:
    """Return the licence alone; what stands behind it is that of a corpus."""
    licence = model.licence.partition(";")[0]
    return f"{licence}, non-commercial" if model.non_commercial else licence
