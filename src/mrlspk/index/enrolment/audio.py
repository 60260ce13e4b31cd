"""Embed the recordings to enrol and group them by voice."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mrlspk.data.utterance_ids import printable
from mrlspk.index.enrolment.enrol import NewRecordings
from mrlspk.index.enrolment.refusals import Remark, refusal
from mrlspk.index.index_model import IndexModel
from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.voices import NewRecording

if TYPE_CHECKING:
    from mrlspk.inference.embed_many import Audio, EmbeddedAudio

type OnDone = Callable[[int, int], None]  # (recordings done, all recordings)


@dataclass(frozen=True)
class EmbeddedVoices:
    """Embedded recordings by voice.

    Attributes:
        groups: Voices with a recording that can be enrolled.
        refused: The other recordings.
    """

    groups: tuple[NewRecordings, ...]
    refused: tuple[Remark, ...]


def embed_voices(
    model: IndexModel,
    settings: IndexSettings,
    names: Sequence[str],
    audio: "Sequence[Audio]",
    *,
    sample_rate: int | None = None,
    min_speech_seconds: float,
    on_done: OnDone | None = None,
) -> EmbeddedVoices:
    """Embed recordings, each once, whatever voice it is of.

    Args:
        model: Of the index.
        settings: Of the index.
        names: Voice of each recording.
        audio: Recordings.
        sample_rate: Of arrays, Hz.
        min_speech_seconds: Least seconds of speech.
        on_done: Called as recordings are done.

    Raises:
        MrlspkError: If the model cannot be loaded.
    """
    groups: dict[str, list[EmbeddedAudio]] = {}
    refused: list[Remark] = []
    for name, found in zip(names, _embed(model, settings, audio, sample_rate, on_done), strict=True):
        reason = found.error.what if found.error else refusal(found, min_speech_seconds=min_speech_seconds)
        if reason:
            refused.append(Remark(name, _source(found), reason))
        else:
            groups.setdefault(name, []).append(found)
    return EmbeddedVoices(tuple(_group(name, found) for name, found in groups.items()), tuple(refused))


def _embed(
    model: IndexModel,
    settings: IndexSettings,
    audio: "Sequence[Audio]",
    sample_rate: int | None,
    on_done: OnDone | None,
) -> "Iterator[EmbeddedAudio]":
    for number, found in enumerate(model.embed(audio, settings, sample_rate=sample_rate), start=1):
        yield found
        if on_done:
            on_done(number, len(audio))


def _group(name: str, found: "Sequence[EmbeddedAudio]") -> NewRecordings:
    recordings = tuple(NewRecording(_source(each), each.seconds, each.speech_seconds, each.warnings) for each in found)
    return NewRecordings(name, recordings, np.stack([each.unwrap() for each in found]))


def _source(found: "EmbeddedAudio") -> str:
    """Return where a recording is, whatever the working directory: its absolute path."""
    if found.path is None:
        return f"audio[{found.index}]"
    path = Path(found.path)
    return printable(path.parent.resolve() / path.name if ".." in path.parts else path.absolute())
