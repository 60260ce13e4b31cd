"""``mrlspk index list``, ``show``, ``rename`` and ``remove``."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.completion import complete_voice
from mrlspk.cli.index.options import IndexFolder, VoiceName, Where
from mrlspk.cli.index.voice_text import UNKNOWN, metadata_text, speech
from mrlspk.cli.options import AsJson, Debug, Quiet
from mrlspk.cli.panels import Panel, option
from mrlspk.errors import UsageError

if TYPE_CHECKING:
    from mrlspk.index.store.voices import Recording, Voice
    from mrlspk.workflows.voice_index.change_voices import RemovedVoices
    from mrlspk.workflows.voice_index.list_voices import Listing, ShownVoice

MOST_ROWS = 100  # voices that a table shows


def list_command(
    ctx: typer.Context,
    folder: IndexFolder,
    *,
    where: Where = None,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - the command shows no progress
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """List the voices of an index.

    A table shows the first 100; --json lists all.

    Example:
        mrlspk index list voices/ --where 'site = "north"'
    """
    from mrlspk.workflows.voice_index.list_voices import list_voices

    listing = ctx.with_resource(list_voices(folder, where=where))
    if as_json:
        output.show_rows("index list", {"count": listing.count}, "voices", map(_entry, listing.voices))
    else:
        output.show("index list", {}, _listed(listing, folder, is_filtered=where is not None), as_json=False)


def show_command(
    folder: IndexFolder,
    name: VoiceName,
    *,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - the command shows no progress
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Show a voice: its recordings, their speech and warnings.

    Example:
        mrlspk index show voices/ anna
    """
    from mrlspk.workflows.voice_index.list_voices import show_voice

    shown = show_voice(folder, name)
    voice = shown.voice
    recordings = [_recording_entry(each) for each in voice.recordings]
    payload = _entry(voice) | {"recordings": recordings, "profiles": shown.profiles, "created": voice.created}
    output.show("index show", payload, _shown(shown), as_json=as_json)


def rename_command(
    folder: IndexFolder,
    name: VoiceName,
    new: Annotated[str, typer.Argument(metavar="NEW", help="New name; no other voice may have it.")],
    *,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - the command shows no progress
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Give a voice another name.

    Example:
        mrlspk index rename voices/ anna anna-berg
    """
    from mrlspk.workflows.voice_index.change_voices import rename_voice

    new = rename_voice(folder, name, new)
    output.show("index rename", {"name": new, "old_name": name}, [f"{name} is now {new}"], as_json=as_json)


def remove_command(
    folder: IndexFolder,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Names of voices.", autocompletion=complete_voice),
    ] = None,
    *,
    where: Where = None,
    yes: Annotated[bool, option(Panel.DATA, "--yes", help="With --where: remove without a question.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - the command shows no progress
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Remove voices with all their recordings.

    No search finds them from then on. `mrlspk index compact` then deletes their vectors from every file of the index.

    Example:
        mrlspk index remove voices/ anna
        mrlspk index remove voices/ --where 'until < "2026-01-01"'
    """
    from mrlspk.workflows.voice_index.change_voices import find_names, remove_voices

    if bool(names) == bool(where):
        raise UsageError("expected names of voices, or a filter", fix="Give NAME or `where`.")
    if where is not None:
        names = list(find_names(folder, where))
        _ask(names, is_agreed=yes)
    done = remove_voices(folder, names or [])
    output.show(
        "index remove", {"names": list(done.names), "voices": done.voices}, _removed(done, folder), as_json=as_json
    )


def _entry(voice: "Voice") -> dict[str, Any]:
    return {
        "name": voice.name,
        "recordings": len(voice.recordings),
        "speech_seconds": voice.speech_seconds,
        "metadata": dict(voice.metadata),
    }


def _recording_entry(recording: "Recording") -> dict[str, Any]:
    return {
        "source": recording.source,
        "seconds": recording.seconds,
        "speech_seconds": recording.speech_seconds,
        "warnings": list(recording.warnings),
        "added": recording.added,
    }


def _listed(listing: "Listing", folder: Path, *, is_filtered: bool) -> Iterator[RenderableType]:
    voices = list(islice(listing.voices, MOST_ROWS))
    if not voices:
        yield "no voice fits the filter" if listing.count else "the index is empty"
        if not listing.count:
            yield f"To enrol a voice: mrlspk index add {shlex.quote(str(folder))} NAME AUDIO"
        return
    columns = ("voice", "recordings", "speech", *(["metadata"] if any(each.metadata for each in voices) else []))
    rows = (_row(each)[: len(columns)] for each in voices)
    yield output.table(None, columns, rows, dispensable=("metadata",))
    if next(listing.voices, None) is not None:
        left = "" if is_filtered else f"{listing.count - MOST_ROWS:,} "
        yield f"… and {left}more; --json lists all of them"
    elif is_filtered:
        yield f"{len(voices):,} of {listing.count:,} voices"


def _row(voice: "Voice") -> tuple[object, ...]:
    return voice.name, len(voice.recordings), speech(voice.speech_seconds), metadata_text(voice.metadata)


def _shown(shown: "ShownVoice") -> Iterator[RenderableType]:
    voice = shown.voice
    n = len(voice.recordings)
    facts: list[tuple[str, object]] = [
        ("voice", voice.name),
        ("enrolled", voice.created),
        ("speech", f"{speech(voice.speech_seconds)} in {n} {'recording' if n == 1 else 'recordings'}"),
        ("profiles", shown.profiles),
        *([("metadata", metadata_text(voice.metadata))] if voice.metadata else []),
    ]
    yield output.facts(facts)
    yield ""
    columns = "recording", "seconds", "speech", "added", "warnings"
    yield output.table(None, columns, map(_recording_row, voice.recordings), dispensable=("added",))


def _recording_row(recording: "Recording") -> tuple[object, ...]:
    from mrlspk.index.enrolment.refusals import shown_source

    seconds = UNKNOWN if recording.seconds is None else f"{recording.seconds:.1f}"
    found = UNKNOWN if recording.speech_seconds is None else f"{recording.speech_seconds:.1f}"
    return shown_source(recording.source), seconds, found, recording.added[:10], ", ".join(recording.warnings)


def _ask(names: Sequence[str], *, is_agreed: bool) -> None:
    """Ask on a terminal whether to remove voices that a filter has chosen.

    Raises:
        UsageError: If there is no terminal to ask on.
        Exit: If the answer is no.
    """
    from mrlspk.workflows.voice_index.change_voices import refuse_unasked

    if is_agreed or not names:
        return
    refusal = refuse_unasked(names)
    if not sys.stdin.isatty():
        raise refusal
    if not typer.confirm(f"{refusal.what}. Remove them?", err=True):
        raise typer.Exit(1)


def _removed(done: "RemovedVoices", folder: Path) -> Iterator[RenderableType]:
    n = len(done.names)
    if not n:
        yield "no voice fits the filter: none is removed"
        return
    named = done.names[0] if n == 1 else f"{n:,} voices"
    yield f"removed {named}; {done.voices:,} left"
    yield f"To delete their vectors from the files: mrlspk index compact {shlex.quote(str(folder))}"
