"""Check that the vectors of a file are those of an index, and find the voice of each row."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.utterance_ids import is_utf8
from mrlspk.errors import DataError
from mrlspk.index.enrolment.enrol import NewRecordings
from mrlspk.index.enrolment.refusals import Remark, refusal
from mrlspk.index.enrolment.sources import check_voice_name
from mrlspk.index.enrolment.vector_rows import HeardRows, VectorRows, VectorsOfVoice
from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.voices import NewRecording
from mrlspk.vectors.checks import refuse_unusable, usable_rows
from mrlspk.vectors.speakers import read_speakers, require_speakers
from mrlspk.vectors.table import Block, VectorFile, VectorTable

SAME_MODEL = "Give vectors of the index's model, or make an index of its own for these."


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


def read_voices(
    file: VectorFile, settings: IndexSettings, *, speakers: Path | None = None, min_speech_seconds: float = 0.0
) -> VectorRows:
    """Read a vector file once, check every row and find its voice.

    Wider vectors are cut only if file and index name the same model: an index may hold prefixes.

    Args:
        file: The file.
        settings: Of the index.
        speakers: Speaker by id: Kaldi's utt2spk or a table. None: the part of an id before its first ``/``.
        min_speech_seconds: Rows with less speech, or none, are refused, as far as the file says so.

    Raises:
        DataError: If the vectors have another width or no direction, or an id has no speaker.
        UsageError: If no voice can have the name of a speaker.
    """
    reader = _Reader(file, settings, None if speakers is None else read_speakers(speakers), min_speech_seconds)
    for block in file.blocks():
        reader.add(block)
    return reader.rows()


def voices_of(rows: VectorRows, embed_dim: int) -> Iterator[NewRecordings]:
    """Yield the voices of a file."""
    for voice in rows.groups(embed_dim):
        yield NewRecordings(voice.name, tuple(_recordings(rows, voice)), voice.vectors)


def _recordings(rows: VectorRows, voice: VectorsOfVoice) -> Iterator[NewRecording]:
    for id_, row in zip(voice.ids, voice.rows, strict=True):
        if rows.facts is None:
            yield NewRecording(id_)
        else:
            heard = rows.facts[row]
            yield NewRecording(id_, heard.seconds, heard.speech_seconds, heard.warnings)


class _Reader:
    """A reading of a vector file in progress."""

    def __init__(
        self, file: VectorFile, settings: IndexSettings, labels: Mapping[str, str] | None, min_speech_seconds: float
    ) -> None:
        origin = file.origin
        self._file, self._dim, self._labels, self._least = file, settings.embed_dim, labels, min_speech_seconds
        self._may_cut = origin.fingerprint is not None and origin.fingerprint == settings.fingerprint
        self._heard = None if file.facts is None else file.facts()
        self._facts = HeardRows()
        self._refused: list[Remark] = []
        self._places: dict[str, int] = {}
        self._voices: list[NDArray[np.int64]] = []  # of the rows that are kept
        self._kept: list[NDArray[np.bool_]] = []
        self._n_read = 0

    def add(self, block: Block) -> None:
        """Check rows.

        Raises:
            DataError: As of `read_voices`.
        """
        ids, _ = block
        self._check(block)
        self._n_read += len(ids)
        n_all = self._file.count
        speakers = require_speakers(ids, self._labels, self._file.path, n_read=self._n_read, n_all=n_all)
        kept = np.array(self._are_kept(ids, speakers), np.bool_)
        self._kept.append(kept)
        places = (self._places.setdefault(each, len(self._places)) for each in compress(speakers, kept))
        self._voices.append(np.fromiter(places, np.int64))

    def rows(self) -> VectorRows:
        """Return all rows."""
        return VectorRows(
            self._file.blocks,
            np.concatenate(self._kept),
            tuple(map(check_voice_name, self._places)),
            np.concatenate(self._voices),
            None if self._heard is None else self._facts,
            tuple(self._refused),
        )

    def _are_kept(self, ids: Sequence[str], speakers: Sequence[str]) -> list[bool]:
        if self._heard is None:
            return [True] * len(ids)
        kept = []
        for id_, speaker, heard in zip(ids, speakers, islice(self._heard, len(ids)), strict=True):
            reason = refusal(heard, min_speech_seconds=self._least)
            kept.append(reason is None)
            if reason is None:
                self._facts.add(heard)
            else:
                self._refused.append(Remark(speaker, id_, reason))
        return kept

    def _check(self, block: Block) -> None:
        ids, vectors = block
        width = vectors.shape[1]
        if width < self._dim or (width > self._dim and not self._may_cut):
            raise DataError(f"expected {self._dim} values a vector, got {width}", self._file.path, SAME_MODEL)
        if not is_utf8("".join(ids)):
            raise DataError("expected ids in UTF-8", self._file.path, "Rename them.")
        table = VectorTable(ids, vectors[:, : self._dim])
        if not usable_rows(table).all():
            refuse_unusable(table, self._file.path)
