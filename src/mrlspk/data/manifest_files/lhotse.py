"""Read the manifests of lhotse: cuts, or recordings with the supervisions beside them, as JSON lines.

Their form: https://lhotse.readthedocs.io/en/latest/cuts.html
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mrlspk.data.audio.source import AudioSource, ChannelSource, FileSource, RangeSource
from mrlspk.data.manifest import Utterance
from mrlspk.data.manifest_files.json_rows import read_records
from mrlspk.data.manifest_files.segments import find_base, seconds_of
from mrlspk.errors import DataError
from mrlspk.reading import is_file

CUTS = frozenset({"MonoCut", "MultiCut"})
OTHER_CUTS = frozenset({"MixedCut", "PaddingCut"})
RECORDINGS, SUPERVISIONS = "recordings", "supervisions"
FIX = "Save plain cuts: `cuts.trim_to_supervisions()`, then `cuts.to_file(...)`, of recordings that are files."
TOLERANCE = 1e-3  # seconds by which a cut of a whole recording may differ from it

type _Bases = list[str]  # the folder in which relative paths begin, once it is known


def is_lhotse(first: Mapping[str, Any]) -> bool:
    """Return whether an object is a cut or a recording of lhotse."""
    return first.get("type") in CUTS | OTHER_CUTS or (
        isinstance(first.get("sources"), list) and "sampling_rate" in first
    )


def read_lhotse(path: Path) -> Iterator[tuple[Utterance | None, str]]:
    """Yield the utterances and their ids; None for a cut or recording with no speaker or several.

    Raises:
        DataError: If the file or a line cannot be read, or a recording is no file.
    """
    bases: _Bases = []
    supervisions: dict[str, list[dict[str, Any]]] | None = None
    for where, record in read_records(path):
        kind = record.get("type")
        if kind in OTHER_CUTS:
            raise DataError(f"expected MonoCut or MultiCut, got {kind}", where, FIX)
        if kind in CUTS:
            yield _of_cut(record, path, where, bases)
            continue
        if supervisions is None:
            supervisions = _read_supervisions(path)
        yield from _of_recording(record, supervisions.get(str(record.get("id")), []), path, where, bases)


def _of_cut(cut: Mapping[str, Any], path: Path, where: str, bases: _Bases) -> tuple[Utterance | None, str]:
    cut_id, recording = _text(cut, "id", where), cut.get("recording")
    if not isinstance(recording, dict):
        raise DataError("expected a cut with its recording", where, FIX)
    source = _part(cut, recording, path, where, bases)
    speaker = _one_speaker(cut.get("supervisions") or [])
    return (Utterance(cut_id, speaker, _text(recording, "id", where), source) if speaker else None), cut_id


def _of_recording(
    recording: Mapping[str, Any], supervisions: list[dict[str, Any]], path: Path, where: str, bases: _Bases
) -> Iterator[tuple[Utterance | None, str]]:
    """Yield an utterance for each supervision of a recording."""
    recording_id = _text(recording, "id", where)
    if not supervisions:
        yield None, recording_id
    for supervision in supervisions:
        source = _part(supervision, recording, path, where, bases)
        name, speaker = _text(supervision, "id", where), _one_speaker([supervision])
        yield (Utterance(name, speaker, recording_id, source) if speaker else None), name


def _read_supervisions(recordings: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the supervisions beside a file of recordings, by recording."""
    path = recordings.with_name(recordings.name.replace(RECORDINGS, SUPERVISIONS))
    if path == recordings or not is_file(path, DataError):
        what = "recordings alone do not say who speaks"
        fix = f"Put the supervisions beside them, as {path.name}; or name a file of cuts."
        raise DataError(what, recordings, fix if path != recordings else "Name a file of cuts.")
    found: dict[str, list[dict[str, Any]]] = {}
    for where, record in read_records(path):
        found.setdefault(_text(record, "recording_id", where), []).append(record)
    return found


def _one_speaker(supervisions: list[Any]) -> str:
    """Return the one speaker of supervisions; empty if there is none, or several."""
    names = {each.get("speaker") for each in supervisions if isinstance(each, dict)} - {None}
    name = next(iter(names)) if len(names) == 1 else ""
    return name if isinstance(name, str) else ""


def _part(part: Mapping[str, Any], recording: Mapping[str, Any], path: Path, where: str, bases: _Bases) -> AudioSource:
    """Return the part of a recording that a cut or supervision is.

    Raises:
        DataError: If the recording is not in a file, or is changed on the fly.
    """
    if recording.get("transforms"):
        raise DataError("expected a recording as it is in its file, got one with transforms", where, FIX)
    channels = part.get("channel", 0)
    channels = channels if isinstance(channels, list) else [channels]
    location, known = _location(recording, channels, path, where, bases)
    source: AudioSource = FileSource(location)
    start, seconds = seconds_of(part, "start", where) or 0.0, seconds_of(part, "duration", where)
    whole = seconds_of(recording, "duration", where)
    is_whole = not start and (seconds is None or (whole is not None and abs(whole - seconds) < TOLERANCE))
    if not is_whole:
        source = RangeSource(source, start, seconds)
    return ChannelSource(source, known.index(channels[0])) if len(channels) == 1 and len(known) > 1 else source


def _location(
    recording: Mapping[str, Any], channels: list[Any], path: Path, where: str, bases: _Bases
) -> tuple[str, list[Any]]:
    """Return the file of a recording and the numbers of its channels."""
    sources: Any = recording.get("sources")
    sources = [each for each in sources if isinstance(each, dict)] if isinstance(sources, list) else []
    if len(sources) != 1 or sources[0].get("type") != "file":
        kinds = ", ".join(str(each.get("type")) for each in sources)
        raise DataError(f"expected one source of type 'file', got {kinds or 'none'}", where, FIX)
    known = sources[0].get("channels", [0])
    if not isinstance(known, list) or any(channel not in known for channel in channels):
        raise DataError(f"expected channels of {known}, got {channels}", where, FIX)
    if 1 < len(channels) < len(known):
        raise DataError(f"expected one channel or all of {known}, got {channels}", where, FIX)
    location = _text(sources[0], "source", where)
    if not bases:
        bases.append(find_base(location, path))
    return str(Path(bases[0], location)), known


def _text(record: Mapping[str, Any], name: str, where: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value:
        raise DataError(f"expected a text in {name!r}, got {value!r}", where, FIX)
    return value
