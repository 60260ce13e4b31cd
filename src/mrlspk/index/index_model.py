"""Load the model of an index when audio is embedded first, and embed as the index does."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from mrlspk.config.base import ChannelChoice
from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.data.speech.build import build_detector
from mrlspk.errors import CheckpointError, DataError, UsageError
from mrlspk.index.store.settings import IndexSettings

if TYPE_CHECKING:
    from mrlspk.inference.embed_many import Audio, EmbeddedAudio
    from mrlspk.inference.speaker_encoder import SpeakerEncoder

type LoadEncoder = Callable[[str], "SpeakerEncoder"]
type Model = str | PathLike[str] | "SpeakerEncoder"

GIVE_MODEL = "Give `model`: the path or the name of the model whose vectors the index holds."

GIVE_MOVED = "Give `model`: the path where it is now. It has to be the same model."
SHOWN = 12  # digits of a fingerprint in a message


class IndexModel:
    """The model of an index; threads may share it.

    Args:
        model: Path, name or encoder; None for the model that the index names.
        load: Loads an encoder by path or name.
    """

    def __init__(self, model: Model | None, load: LoadEncoder) -> None:
        self._model, self._load = model, load
        self._encoder: SpeakerEncoder | None = None
        self._lock = Lock()

    def encoder(self, settings: IndexSettings) -> "SpeakerEncoder":
        """Return the encoder of an index, which is loaded at the first use.

        Raises:
            UsageError: If neither the caller nor the index names a model.
            DataError: If it is not the model whose vectors the index holds.
            MrlspkError: If it cannot be loaded.
        """
        with self._lock:
            if self._encoder is None:
                self._encoder = _checked(self._find(settings), settings)
            return self._encoder

    def embed(
        self,
        audio: "Iterable[Audio]",
        settings: IndexSettings,
        *,
        sample_rate: int | None = None,
        channel: ChannelChoice | None = None,
    ) -> "Iterator[EmbeddedAudio]":
        """Return an iterator over the embeddings of recordings, (embed_dim,) of the index, in order.

        Args:
            audio: Recordings, as of `SpeakerEncoder.embed_many`.
            settings: Of the index.
            sample_rate: Of arrays, Hz; default: 16,000.
            channel: Of a recording; None for that of the index.

        Raises:
            DataError: If the index was made with another version of the speech detector.
            MrlspkError: If there is no model, or it cannot be loaded.
        """
        _check_detector(settings)
        found = self.encoder(settings).embed_many(
            audio,
            sample_rate=sample_rate or SAMPLE_RATE,
            speech=settings.speech,
            channel=settings.channel if channel is None else channel,
        )
        return (_cut(each, settings.embed_dim) for each in found)

    def _find(self, settings: IndexSettings) -> "SpeakerEncoder":
        model = settings.model if self._model is None else self._model
        if model is None:
            raise UsageError("the index names no model to embed audio with", fix=GIVE_MODEL, parameter="model")
        if self._model is None and Path(str(model)).is_absolute() and not Path(str(model)).exists():
            raise CheckpointError(
                "the model of the index is not there any more", where=Path(str(model)), fix=GIVE_MOVED
            )
        return self._load(str(model)) if isinstance(model, str | PathLike) else model


def _checked(encoder: "SpeakerEncoder", settings: IndexSettings) -> "SpeakerEncoder":
    expected = settings.fingerprint
    if expected is not None and encoder.fingerprint != expected:
        named = "the model" if settings.model is None else Path(settings.model).name
        what = f"expected {named} ({expected[:SHOWN]}), whose vectors the index holds, got a model of other weights"
        what = f"{what} ({encoder.fingerprint[:SHOWN]})"
        raise DataError(what, fix=GIVE_MODEL, parameter="model")
    if encoder.embed_dim < settings.embed_dim:
        what = f"expected a model of {settings.embed_dim} values or more, got one of {encoder.embed_dim}"
        raise DataError(what, fix=GIVE_MODEL, parameter="model")
    return encoder


def _check_detector(settings: IndexSettings) -> None:
    detector = build_detector(settings.speech)
    version = detector.version if detector else ""
    if settings.speech_detector not in {None, version}:
        named = [each or "whole recordings" for each in (settings.speech_detector, version)]
        raise DataError(
            f"the index holds embeddings of {named[0]}, and this version of mrlspk makes those of {named[1]}",
            fix="Use the version that made the index, or enrol the voices in a new one.",
        )


def _cut(found: "EmbeddedAudio", dim: int) -> "EmbeddedAudio":
    from mrlspk.inference.embedding import unit_prefix

    if found.embedding is None or len(found.embedding) == dim:
        return found
    return replace(found, embedding=unit_prefix(found.embedding, dim))
