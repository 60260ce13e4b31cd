"""Read and write the manifests of NeMo: one JSON object per line, with ``audio_filepath`` and ``label``.

Its documentation: https://docs.nvidia.com/nemo-framework/user-guide/latest/nemotoolkit/asr/speaker_recognition/datasets.html
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mrlspk.data.audio.source import FileSource, RangeSource
from mrlspk.data.manifest import Utterance
from mrlspk.data.manifest_files.json_rows import read_records, write_records
from mrlspk.data.manifest_files.rows import ManifestRow, folder_prefix, relative_to
from mrlspk.data.manifest_files.segments import find_base, plain_rows, seconds_of, segment_id
from mrlspk.errors import DataError

PATHS = "audio_filepath", "audio_filename"
SPEAKERS = "speaker", "label"
IDS = "id", "utt_id", "uniq_id"
FIX = "Write 'audio_filepath' and 'label' on each line, and 'offset' and 'duration' of segments."


def is_nemo(first: dict[str, Any]) -> bool:
    """Return whether an object is of NeMo's form."""
    return any(isinstance(first.get(name), str) for name in PATHS)


def read_nemo(path: Path) -> Iterator[Utterance]:
    """Yield the utterances; without a speaker it is empty.

    The id is that of the line, or else the path of its audio, relative to the manifest if it lies below it. The part of
    a recording is part of the id.

    Raises:
        DataError: If the file or a line cannot be read.
    """
    base, prefix = "", folder_prefix(path)
    for where, record in read_records(path):
        audio = _text(record, PATHS, where)
        if not audio:
            raise DataError(f"expected a path in 'audio_filepath', got {audio!r}", where, FIX)
        base = base or find_base(audio, path)
        location = str(Path(base, Path(audio).expanduser()))
        start, duration = (seconds_of(record, name, where) for name in ("offset", "duration"))
        source = FileSource(location)
        name = relative_to(location, prefix)
        speaker = _text(record, SPEAKERS, where)
        session = _text(record, ("session",), where) or name.rpartition("/")[0] or speaker
        is_part = bool(start)
        given = _text(record, IDS, where)
        yield Utterance(
            given or segment_id(name, start if is_part else None, duration if is_part else None),
            speaker,
            session,
            RangeSource(source, start or 0.0, duration) if is_part or duration is not None else source,
        )


def _text(record: dict[str, Any], names: Iterable[str], where: str) -> str:
    """Return the first of some values that is there, a number too; empty if there is none.

    Raises:
        DataError: If it is neither text nor a whole number.
    """
    found = next((record[name] for name in names if record.get(name) is not None), "")
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise DataError(f"expected a text in {' or '.join(names)}, got {found!r}", where, FIX)
    return str(found)


def write_nemo(path: Path, rows: Iterator[ManifestRow]) -> None:
    """Write rows; ids and sessions are further keys, which NeMo ignores.

    Raises:
        UsageError: If a row is a channel or a member of an archive.
    """
    write_records(path, map(_record, plain_rows(rows, "NeMo")))


def _record(row: ManifestRow) -> dict[str, Any]:
    offset = {} if row.start is None else {"offset": row.start}
    return {
        "audio_filepath": row.path,
        **offset,
        "duration": row.seconds,
        "label": row.speaker,
        "id": row.id,
        "session": row.session,
    }
