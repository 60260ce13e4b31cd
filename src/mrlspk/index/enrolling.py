"""Enrol recordings or vector files in an index."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mrlspk.errors import DataError
from mrlspk.index.enrolment.audio import OnDone, embed_voices
from mrlspk.index.enrolment.enrol import Enrolled, enrol
from mrlspk.index.enrolment.metadata import VoiceMetadata
from mrlspk.index.enrolment.refusals import Remark
from mrlspk.index.enrolment.vector_files import check_origin, read_voices, voices_of
from mrlspk.index.index_model import IndexModel
from mrlspk.index.store.store import VoiceStore
from mrlspk.vectors.loading import open_vectors

if TYPE_CHECKING:
    from mrlspk.inference.embed_many import Audio

SHOWN = 10


def enrol_audio(
    store: VoiceStore,
    model: IndexModel,
    names: Sequence[str],
    audio: "Sequence[Audio]",
    metadata: Mapping[str, VoiceMetadata],
    *,
    sample_rate: int | None = None,
    min_speech_seconds: float,
    on_done: OnDone | None = None,
) -> Enrolled:
    """Embed recordings and enrol those that say enough about a voice, in one change of the index.

    Args:
        store: The index.
        model: Of the index.
        names: Voice of each recording.
        audio: Recordings, as of `SpeakerEncoder.embed_many`.
        metadata: By name; merged into that of the voice.
        sample_rate: Of arrays, Hz.
        min_speech_seconds: Recordings with less speech are refused.
        on_done: Called with (recordings done, all recordings).

    Raises:
        DataError: If every recording is refused.
        MrlspkError: If the model cannot be loaded, or the index cannot be written.
    """
    with store.reading() as snapshot:
        settings = snapshot.settings
    found = embed_voices(
        model, settings, names, audio, sample_rate=sample_rate, min_speech_seconds=min_speech_seconds, on_done=on_done
    )
    if not found.groups:
        raise _nothing_left(found.refused)
    kept = {group.name for group in found.groups}
    enrolled = enrol(store, found.groups, {name: values for name, values in metadata.items() if name in kept})
    noted = tuple(
        Remark(group.name, each.source, text)
        for group in found.groups
        for each in group.recordings
        for text in each.warnings
    )
    return replace(enrolled, refused=found.refused, noted=noted)


def enrol_vectors(
    store: VoiceStore,
    path: Path,
    *,
    speakers: Path | None = None,
    ids: Path | None = None,
    min_speech_seconds: float,
) -> Enrolled:
    """Enrol the vectors of a file in one change of the index; the memory does not grow with the file.

    Args:
        store: The index.
        path: Vector file.
        speakers: Speaker by id: Kaldi's utt2spk or a table. None: the part of an id before its first ``/``.
        ids: Ids of the rows of an .npy file.
        min_speech_seconds: Rows with less speech, as far as the file says so, are refused.

    Raises:
        DataError: If they are vectors of another model, of other speech, or cannot be used, or all are refused.
        MrlspkError: If the index cannot be written.
    """
    file = open_vectors(path, ids=ids)
    with store.reading() as snapshot:
        settings = snapshot.settings
    warnings = check_origin(file, settings)
    rows = read_voices(file, settings, speakers=speakers, min_speech_seconds=min_speech_seconds)
    if not rows.names:
        raise _nothing_left(rows.refused)
    return replace(enrol(store, voices_of(rows, settings.embed_dim), {}), refused=rows.refused, warnings=warnings)


def _nothing_left(refused: Sequence[Remark]) -> DataError:
    shown = [str(each) for each in refused[:SHOWN]]
    more = [f"and {len(refused) - SHOWN} more"] if len(refused) > SHOWN else []
    what = "\n".join(["no recording can be enrolled:", *shown, *more])
    return DataError(what, fix="Give recordings with a second of speech or more; `min_speech_seconds` sets how much.")
