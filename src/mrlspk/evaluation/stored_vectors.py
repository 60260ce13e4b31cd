"""Look embeddings up in a vector file, in place of embedding audio."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.config.evaluation import SpeechMode
from mrlspk.data.audio import AUDIO_SUFFIXES
from mrlspk.errors import DataError
from mrlspk.evaluation.embedder import Embeddings
from mrlspk.inference.recording import EmbeddedRecording, Recording
from mrlspk.rotation.map_file import VectorMap, load_vector_map
from mrlspk.vectors.checks import refuse_unusable
from mrlspk.vectors.loading import load_vectors
from mrlspk.vectors.source import VectorSource
from mrlspk.vectors.speakers import read_speakers
from mrlspk.vectors.table import VectorTable

UNKNOWN = "unknown"  # fingerprint of vectors whose file does not name their model
UNKNOWN_SECONDS = float("nan")


@dataclass(frozen=True)
class Detector:
    """The detector whose speech was embedded: the mode that selects it, and its version."""

    name: SpeechMode
    version: str


@dataclass(frozen=True, eq=False)
class StoredVectors:
    """The vectors of a file, which stand in for a model and the audio of its recordings.

    Attributes:
        path: The file.
        table: Its vectors; no id repeats.
        labels: Speaker by id; None for the part of an id before its first ``/``.
        map: Transform or head that is applied to the vectors; None to take them as they are.
    """

    path: Path
    table: VectorTable
    labels: Mapping[str, str] | None = None
    map: VectorMap | None = None

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the model and the map; ``unknown`` if the file has none and there is no map."""
        model = self.table.fingerprint or UNKNOWN
        return model if self.map is None else self.map.map.fingerprint_on(model)

    @property
    def embed_dim(self) -> int:
        """The full width."""
        return self.map.map.embed_dim if self.map else self.table.dim

    @property
    def dims(self) -> tuple[int, ...]:
        """The widths of the map, or else those that the file names, or else its full width."""
        return self.map.map.dims if self.map else self.table.dims or (self.table.dim,)

    @property
    def knows_dims(self) -> bool:
        """Whether the map or the file names the widths that are trained."""
        return self.map is not None or self.table.dims is not None

    @property
    def reads_audio(self) -> bool:
        """False: embeddings of other recordings cannot be made."""
        return False

    @property
    def speech(self) -> Detector | None:
        """The detector whose speech was embedded; None for whole recordings, and if the file does not say."""
        mode, version = self.table.speech, self.table.speech_detector
        return Detector(mode, version) if mode and version else None

    @property
    def speech_mode(self) -> SpeechMode:
        """Mode of the speech that was embedded."""
        return self.speech.name if self.speech else "all"

    @property
    def speech_version(self) -> str | None:
        """Version of the detector; None for whole recordings."""
        return self.speech.version if self.speech else None

    def moved(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return vectors (n, dim) of the model, none of them zero, as the map maps them to (n, embed_dim)."""
        return vectors if self.map is None else self.map.map.apply(vectors)

    def find(self, utterance_id: str) -> VectorSource | None:
        """Return the source of an utterance; None if it has no vector.

        As with audio, an id may have another audio suffix than the list: a list may say .wav when the files are .m4a.
        """
        return VectorSource(utterance_id) if len(self._rows_of(utterance_id)) == 1 else None

    def _rows_of(self, utterance_id: str) -> list[int]:
        """Return the row of an id, or else of those that differ from it in the suffix."""
        row = self._rows.get(utterance_id)
        return self._rows_by_stem.get(_stem(utterance_id), []) if row is None else [row]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {utterance_id: row for row, utterance_id in enumerate(self.table.ids)}

    @cached_property
    def _rows_by_stem(self) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        for row, utterance_id in enumerate(self.table.ids):
            rows.setdefault(_stem(utterance_id), []).append(row)
        return rows

    def embed(self, recordings: Iterable[Recording]) -> Embeddings:
        """Return the vectors of recordings, whose durations are unknown.

        Raises:
            DataError: If a vector is zero or not finite.
        """
        wanted = {each: str(each.source) for each in recordings}
        ids = tuple(dict.fromkeys(wanted.values()))
        vectors = self.table.vectors[[self._rows_of(utterance_id)[0] for utterance_id in ids]]
        refuse_unusable(VectorTable(ids, vectors), self.path)
        found = dict(zip(ids, self.moved(vectors), strict=True))
        return Embeddings({each: EmbeddedRecording(found[id_], UNKNOWN_SECONDS) for each, id_ in wanted.items()})


def _stem(utterance_id: str) -> str:
    """Return an id without the suffix of an audio file."""
    stem, dot, suffix = utterance_id.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in AUDIO_SUFFIXES else utterance_id


def load_stored_vectors(path: Path, *, speakers: Path | None = None, map_path: Path | None = None) -> StoredVectors:
    """Return the vectors of a file to score.

    Args:
        path: The file.
        speakers: Speaker labels.
        map_path: Transform or head to apply to them.

    Raises:
        DataError: If a file cannot be read as what it should be, an id has several vectors, or the map is of another
            width or model.
        CheckpointError: If the map is in a checkpoint that is damaged, or has a network of its own.
        MissingDependencyError: If it is Parquet and pyarrow is not installed.
    """
    table = load_vectors(path)
    if len(set(table.ids)) != len(table.ids):
        refuse_unusable(table, path)
    applied = None if map_path is None else load_vector_map(map_path)
    if applied is not None:
        applied.check_fit(table, path)
    return StoredVectors(path, table, None if speakers is None else read_speakers(speakers), applied)


def check_same_model(stored: StoredVectors, other: VectorTable, where: Path) -> None:
    """Check that vectors are of the same model and width, as far as the files say.

    Raises:
        DataError: If they are not.
    """
    fingerprints = {stored.table.fingerprint, other.fingerprint} - {None}
    detectors = {stored.table.speech_detector, other.speech_detector} - {None}
    if other.dim != stored.table.dim:
        raise DataError(f"expected {stored.table.dim} values, as in {stored.path}, got {other.dim}", where)
    if len(fingerprints) > 1 or len(detectors) > 1:
        what = "another model" if len(fingerprints) > 1 else "other parts of the recordings"
        raise DataError(f"holds vectors of {what} than {stored.path}", where, "Give vectors of the same model.")
