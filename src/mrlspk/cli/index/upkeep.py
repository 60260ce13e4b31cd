"""``mrlspk index stats``, ``check`` and ``compact``."""

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.index.options import IndexFolder
from mrlspk.cli.index.voice_text import shortlist_text
from mrlspk.cli.options import WIDEST, AsJson, Debug, Quiet
from mrlspk.cli.panels import Panel, option
from mrlspk.errors import DataError

if TYPE_CHECKING:
    from mrlspk.workflows.voice_index.stats import IndexStats
    from mrlspk.workflows.voice_index.upkeep import CheckedIndex, CompactedIndex

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


def check_command(
    folder: IndexFolder,
    *,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - the command shows no progress
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Check every file of an index: checksums, vectors, codes, names.

    Exit code 3 if there is a problem.

    Example:
        mrlspk index check voices/
    """
    from mrlspk.cli.problem_tables import problem_tables
    from mrlspk.workflows.voice_index.upkeep import check_index

    checked = check_index(folder)
    payload = {
        "ok": checked.ok,
        "problems": [asdict(each) for each in checked.problems],
        "voices": checked.voices,
        "recordings": checked.recordings,
    }
    human = problem_tables(checked.problems) if checked.problems else [_sound(checked)]
    output.show("index check", payload, human, as_json=as_json)
    if not checked.ok:
        raise typer.Exit(DataError.exit_code)


def compact_command(
    folder: IndexFolder,
    *,
    dim: Annotated[
        int | None,
        option(
            Panel.MODEL,
            min=1,
            max=WIDEST,
            metavar="<dim>",
            help="Keep only the first values of every vector, such as 128. Cut values cannot be restored.",
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - the command shows no progress
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Delete removed voices from every file, or narrow the vectors.

    Searches go on meanwhile. Nothing is enrolled again for a narrower width.

    Example:
        mrlspk index compact voices/
        mrlspk index compact voices/ --dim 128
    """
    from mrlspk.workflows.voice_index.upkeep import compact_index

    done = compact_index(folder, dim=dim)
    payload = {
        "bytes_before": done.before.bytes,
        "bytes": done.after.bytes,
        "removed": done.before.removed,
        "embed_dim": done.after.settings.embed_dim,
    }
    output.show("index compact", payload, _compacted(done), as_json=as_json)


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
        ("shortlist", f"{shortlist_text(shortlist)}, {shortlist.candidates:,} candidates"),
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


def _sound(checked: "CheckedIndex") -> str:
    return f"ok: {checked.voices:,} voices, {checked.recordings:,} recordings, every file as it was written"


def _compacted(done: "CompactedIndex") -> Iterator[RenderableType]:
    before, after = done.before, done.after
    yield f"{before.bytes:,} bytes before, {after.bytes:,} now"
    if before.removed:
        yield f"vectors of removed voices deleted from every file: {before.removed:,}"
    if before.settings.embed_dim != after.settings.embed_dim:
        yield f"vectors cut from {before.settings.embed_dim} to {after.settings.embed_dim} values"
