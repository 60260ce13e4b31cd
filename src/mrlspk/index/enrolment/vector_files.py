"""Check that the vectors of a file are those of an index, and enrol them."""

from collections.abc import Iterator
from pathlib import Path

from mrlspk.errors import DataError
from mrlspk.index.enrolment.enrol import NewRecordings
from mrlspk.index.enrolment.vector_rows import VectorRows, read_rows
from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.voices import NewRecording
from mrlspk.vectors.table import VectorFile

SAME_MODEL = "Give vectors of the index's model, or make an index of its own for these."


def read_voices(file: VectorFile, settings: IndexSettings, *, speakers: Path | None = None) -> VectorRows:
    """Return the rows of a vector file by voice.

    Wider vectors are cut only if file and index name the same model: an index may hold prefixes.

    Args:
        file: The file.
        settings: Of the index.
        speakers: Speaker by id, as of `mrlspk.vectors.speakers`.

    Raises:
        DataError: If the vectors have another width, are not finite or have no speaker.
        UsageError: If no voice can have the name of a speaker.
    """
    same_model = file.origin.fingerprint is not None and file.origin.fingerprint == settings.fingerprint
    return read_rows(file, embed_dim=settings.embed_dim, cut=same_model, speakers=speakers)


def voices_of(rows: VectorRows, embed_dim: int) -> Iterator[NewRecordings]:
    """Yield the voices of a file; their seconds of speech are unknown."""
    for voice in rows.groups(embed_dim):
        yield NewRecordings(voice.name, tuple(map(NewRecording, voice.ids)), voice.vectors)


def check_origin(file: VectorFile, settings: IndexSettings) -> tuple[str, ...]:
    """Return warnings about what the file or the index does not say.

    Raises:
        DataError: If the file says that they are vectors of another model, or of other speech.
    """
    origin, warnings = file.origin, []
    if None in {origin.fingerprint, settings.fingerprint}:
        side = "the file" if origin.fingerprint is None else "the index"
        warnings.append(f"{side} does not say which model its vectors are of: they are compared all the same")
    elif origin.fingerprint != settings.fingerprint:
        what = f"expected vectors of the model {settings.fingerprint}, got those of {origin.fingerprint}"
        raise DataError(what, file.path, SAME_MODEL)
    detectors = settings.speech_detector, origin.speech_detector
    if None not in detectors and detectors[0] != detectors[1]:
        named = [each or "whole recordings" for each in detectors]
        raise DataError(f"expected embeddings of {named[0]}, got those of {named[1]}", file.path, SAME_MODEL)
    return tuple(warnings)
