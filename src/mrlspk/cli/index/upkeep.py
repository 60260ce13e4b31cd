"""``mrlspk index stats``, ``check`` and ``compact``."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.index.options import IndexFolder
from mrlspk.cli.options import AsJson, Debug, Quiet

if TYPE_CHECKING:
    from mrlspk.workflows.voice_index.stats import IndexStats

ENOUGH_VOICES = 1000  # for a mean of bytes that the empty index does not spoil


def stats_command(
    folder: IndexFolder,
    *,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - the command shows no progress
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Show the size of an index, its model and its settings.

    Example:
        mrlspk index stats voices/
    """
    from mrlspk.workflows.voice_index.stats import measure_index

    stats = measure_index(folder)
    output.show("index stats", _stats_payload(stats), _stats_text(stats, folder), as_json=as_json)


def _stats_payload(stats: "IndexStats") -> dict[str, Any]:
    return {
        "voices": stats.voices,
        "recordings": stats.recordings,
        "bytes": stats.bytes,
        "profiles": stats.profiles,
        "removed": stats.removed,
        "calibrated": stats.is_calibrated,
        "files": stats.files,
        "settings": stats.settings.model_dump(mode="json"),
    }


def _stats_text(stats: "IndexStats", folder: Path) -> Iterator[RenderableType]:
    settings, shortlist = stats.settings, stats.settings.shortlist
    widths = ", ".join(map(str, settings.dims))
    limit = "" if settings.max_seconds is None else f", {settings.max_seconds:g} s at most"
    facts: list[tuple[str, object]] = [
        ("voices", f"{stats.voices:,}"),
        ("recordings", f"{stats.recordings:,}"),
        ("profiles", f"{stats.profiles:,} ({_profiles_text(settings.profiles)})"),
        ("model", settings.model or "none: vectors only"),
        ("fingerprint", settings.fingerprint or "unknown"),
        ("widths", widths),
        ("speech", settings.speech + limit),
        ("shortlist", f"{shortlist.type} of {shortlist.dim} values, {shortlist.candidates:,} candidates"),
        ("calibrated", "yes" if stats.is_calibrated else "no: `identify` shows scores and no decision"),
        ("bytes", _bytes(stats)),
    ]
    yield output.facts(facts)
    yield ""
    yield output.table(None, ("file", "bytes"), ((path, f"{size:,}") for path, size in stats.files.items()))
    if stats.removed:
        yield f"\nvectors of removed voices still in the files: {stats.removed:,}"
        yield f"To delete them: mrlspk index compact {shlex.quote(str(folder))}"
    if not stats.is_calibrated:
        yield f"To calibrate: mrlspk index calibrate {shlex.quote(str(folder))}"


def _profiles_text(most: int | str) -> str:
    return "as many as the recordings need" if most == "auto" else f"{most} a voice at most"


def _bytes(stats: "IndexStats") -> str:
    each = f", {stats.bytes / stats.voices:,.0f} a voice" if stats.voices >= ENOUGH_VOICES else ""
    return f"{stats.bytes:,}{each}"
