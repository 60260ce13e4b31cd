"""Read the vectors of known speakers from a file, to evaluate an index on them."""

from pathlib import Path

from mrlspk.errors import DataError
from mrlspk.index.enrolment.vector_files import read_voices, voices_of
from mrlspk.index.evaluating import KnownRecordings
from mrlspk.index.query_files import warn_of_origin
from mrlspk.index.store.settings import IndexSettings
from mrlspk.vectors.loading import open_vectors


def read_known_vectors(
    settings: IndexSettings, path: Path, *, speakers: Path | None, ids: Path | None, min_speech_seconds: float
) -> KnownRecordings:
    """Return the vectors of a file with their speakers.

    Args:
        settings: Of the index.
        path: Vector file.
        speakers: Speaker by id: Kaldi's utt2spk or a table. None: the part of an id before its first ``/``.
        ids: Ids of the rows of an .npy file.
        min_speech_seconds: Rows with less speech are left out, as far as the file says so.

    Raises:
        DataError: If they are of another model, cannot be used, have no speaker, or all say too little.
    """
    file = open_vectors(path, ids=ids)
    warn_of_origin(file, settings)
    rows = read_voices(file, settings, speakers=speakers, min_speech_seconds=min_speech_seconds)
    if not rows.names:
        raise DataError("no recording has enough speech", path, "Give recordings with a second of speech or more.")
    return KnownRecordings.of(tuple(voices_of(rows, settings.embed_dim)), rows.refused)
