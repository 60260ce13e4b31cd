"""``mrlspk pretrained fetch``: a published model brought here."""

import dataclasses
import os
from typing import Annotated

import typer

from mrlspk.cli import output
from mrlspk.cli.options import AsJson, CacheDir, Debug, Force, Quiet


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
    from mrlspk.config.sources import read_environment
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
