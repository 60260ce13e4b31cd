"""Options that several commands share, and how their values are read."""

from pathlib import Path
from typing import Annotated

import typer

from mrlspk.errors import UsageError

DEBUG_KEY = "mrlspk.debug"


def _remember_debug(ctx: typer.Context, value: bool) -> bool:  # noqa: FBT001 - the signature that typer calls
    ctx.meta[DEBUG_KEY] = value
    return value


def check_device(value: str | None) -> str | None:
    """Return ``value`` where it is the name of a device, or None."""
    if value is None:
        return None
    kind, _, number = value.partition(":")
    if kind not in {"auto", "cpu", "cuda", "mps"} or (number and not (kind == "cuda" and number.isdigit())):
        raise typer.BadParameter(f"expected auto, cpu, cuda, cuda:N or mps, got {value!r}")
    return value


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document in place of tables.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")]
Debug = Annotated[bool, typer.Option("--debug", callback=_remember_debug, help="Show a traceback with an error.")]
Device = Annotated[str, typer.Option("--device", callback=check_device, help="auto, cpu, cuda, cuda:N or mps.")]
OptionalDevice = Annotated[
    str | None,
    typer.Option("--device", callback=check_device, help="auto, cpu, cuda, cuda:N or mps. Default: as configured."),
]
ConfigPath = Annotated[Path | None, typer.Option("--config", help="YAML file; see configs/ for examples.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="section.key=value, over --config; repeatable.", metavar="KEY=VALUE")
]
CacheDir = Annotated[Path | None, typer.Option(help="Folder of fetched models. Default: MRLSPK_CACHE_DIR.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]


def parse_dims(text: str | None) -> tuple[int, ...] | None:
    """Return the widths of ``64,128``, rising, or None.

    Raises:
        UsageError: If ``text`` is anything else.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"expected widths such as 64,128, got {text!r}", "--dims")
    return tuple(sorted({int(part) for part in parts}))
