"""Write the vectors of an index with names and metadata to a vector file."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mrlspk.errors import DataError, shorten
from mrlspk.index.store.snapshot import Snapshot
from mrlspk.index.store.voices import Vectors, Voice
from mrlspk.index.where import Condition
from mrlspk.vectors.saving import save_vectors
from mrlspk.vectors.table import VectorTable

log = logging.getLogger("mrlspk.index")


def export_voices(
    snapshot: Snapshot, path: Path, *, where: Condition | None = None, recordings: bool = False, force: bool = False
) -> tuple[Path, ...]:
    """Write one vector for each profile of a voice, or each recording, and return the files.

    Ids are ``NAME/1`` for the first profile and so on; with ``recordings`` they are ``NAME/SOURCE``. So an index can
    read the file again; a warning tells of names with a ``/``. ``.npz``, ``.jsonl`` and ``.parquet`` also have the
    columns ``name`` and ``metadata``, the latter of JSON texts.

    Args:
        snapshot: Of the index.
        path: File to write; its suffix is the format.
        where: Only voices that this holds for.
        recordings: Write the vectors of recordings.
        force: Overwrite the file.

    Raises:
        DataError: If there is no such voice, or the format cannot hold a name.
        UsageError: If there is no such format.
        MrlspkError: If the file exists and ``force`` is false, or it cannot be written.
    """
    slashed: list[str] = []
    ids: list[str] = []
    names: list[str] = []
    metadata: list[str] = []
    parts: list[Vectors] = []
    for voice in snapshot.voices() if where is None else snapshot.voices(where):
        labels, vectors = _of_recordings(snapshot, voice) if recordings else _of_profiles(snapshot, voice)
        ids += [f"{voice.name}/{label}" for label in labels]
        names += [voice.name] * len(vectors)
        metadata += [json.dumps(voice.metadata, ensure_ascii=False)] * len(vectors)
        parts.append(vectors)
        if "/" in voice.name:
            slashed.append(voice.name)
    if not parts:
        raise DataError("there is no such voice to export", fix="Leave `where` out, or add voices first.")
    if slashed:
        what = "names of voices end at their first / when the file is enrolled, unless `speakers` says so"
        log.warning("%s: %s: %s", path, what, shorten(", ".join(slashed)))
    settings = snapshot.settings
    table = VectorTable(
        tuple(ids), np.concatenate(parts), settings.fingerprint, settings.speech_detector, settings.dims
    )
    return save_vectors(table, path, force=force, texts={"name": names, "metadata": metadata})


def _of_profiles(snapshot: Snapshot, voice: Voice) -> tuple[list[str], Vectors]:
    vectors = np.array(snapshot.profiles[snapshot.slots_of([voice.id])])
    return [str(number) for number in range(1, len(vectors) + 1)], vectors


def _of_recordings(snapshot: Snapshot, voice: Voice) -> tuple[list[str], Vectors]:
    return list(_each_once(voice)), np.array(snapshot.recording_vectors(voice))


def _each_once(voice: Voice) -> Iterator[str]:
    """Yield the sources of recordings; one that repeats with another vector gets a number."""
    seen: dict[str, int] = {}
    for recording in voice.recordings:
        number = seen[recording.source] = seen.get(recording.source, 0) + 1
        yield recording.source if number == 1 else f"{recording.source}#{number}"
