"""Embed audio of any kind, one after the other: files, arrays and tensors, with an error for each that fails."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.data.audio.channels import check_channel
from mrlspk.data.audio.source import Channel, as_source, take_channel
from mrlspk.data.speech.detector import SpeechDetector
from mrlspk.errors import DataError, MrlspkError
from mrlspk.inference.backend import Backend
from mrlspk.inference.batching import check_direction
from mrlspk.inference.decoding import Decoded, decode
from mrlspk.inference.embedding import embed_batch, unit_prefix
from mrlspk.inference.ordered_batches import Pending, embed_in_order
from mrlspk.inference.recording import EmbeddedRecording
from mrlspk.inference.samples import Samples, decode_samples
from mrlspk.inference.windows import Vector, embed_windows, find_peak, keep_speech, unit_mean

MAX_SECONDS = EvaluationConfig().max_seconds

type Audio = str | PathLike[str] | Samples


@dataclass(frozen=True, eq=False)
class EmbeddedAudio:
    """The embedding of a recording, or why it has none.

    Attributes:
        index: Of the recording among those given, from 0.
        path: As given; None for an array or tensor.
        embedding: (dim,) at unit length; None if there is an error.
        seconds: Length of the recording; None if there is an error.
        speech_seconds: Length of the speech that was found and embedded; 0 if none was found, and all was embedded;
            None if it was not searched, or if there is an error.
        warnings: Such as ``silent``.
        error: None if there is an embedding.
    """

    index: int
    path: str | None
    embedding: NDArray[np.float32] | None = field(default=None, repr=False)
    seconds: float | None = None
    speech_seconds: float | None = None
    warnings: tuple[str, ...] = ()
    error: MrlspkError | None = None

    def unwrap(self) -> NDArray[np.float32]:
        """Return the embedding (dim,).

        Raises:
            MrlspkError: The error, if there is none.
        """
        if self.embedding is None:
            raise self.error or DataError("has no embedding", self.path)
        return self.embedding


@dataclass(frozen=True)
class Decoding:
    """What is embedded of each recording.

    Attributes:
        detector: Finds the speech; None to embed all.
        channel: Of a file.
        sample_rate: Of arrays and tensors, Hz.
    """

    detector: SpeechDetector | None
    channel: Channel
    sample_rate: int

    def decode(self, audio: Audio, name: str, *, model_rate: int) -> Decoded:
        """Decode a recording.

        Raises:
            DataError: If it cannot be read.
        """
        if isinstance(audio, str | PathLike):
            source = take_channel(as_source(Path(audio)), self.channel)
            return decode(source, sample_rate=model_rate, speech=self.detector)
        check_channel(self.channel, 1, name)
        return decode_samples(audio, name, rate=self.sample_rate, model_rate=model_rate, speech=self.detector)


def embed_many(
    backend: Backend, audio: Iterable[Audio], *, dim: int, decoding: Decoding, batch_size: int
) -> Iterator[EmbeddedAudio]:
    """Yield the embedding of each recording, in order, reading a few ahead; see `SpeakerEncoder.embed_many`."""
    run = _Run(backend, dim, decoding)
    pending = (run.begin(index, each) for index, each in enumerate(audio))
    for each in embed_in_order(pending, run.embed, batch_size=batch_size):
        yield run.finish(each.item, each.vector)


@dataclass(frozen=True, eq=False)
class _Begun:
    """A recording that was decoded.

    Attributes:
        result: So far; whole without ``with_vector``.
        with_vector: Returns all that is known, from the vector that is awaited.
    """

    result: EmbeddedAudio
    with_vector: Callable[[Vector], EmbeddedRecording] | None = None


class _Run:
    """Decode recordings, and turn their vectors into results.

    Args:
        backend: The model.
        dim: Width of the embeddings.
        decoding: What is embedded of each recording.
    """

    def __init__(self, backend: Backend, dim: int, decoding: Decoding) -> None:
        self._backend, self._dim, self._decoding = backend, dim, decoding
        self.embed = partial(embed_batch, backend)

    def begin(self, index: int, audio: Audio) -> Pending[_Begun]:
        """Return a recording with the samples to embed; one of several windows is embedded here."""
        result = EmbeddedAudio(index, str(audio) if isinstance(audio, str | PathLike) else None)
        try:
            decoded = self._decoding.decode(audio, _name(result), model_rate=self._backend.sample_rate)
            kept = keep_speech(decoded, min_samples=self._backend.min_samples)
            windows = kept.cut(max_seconds=MAX_SECONDS, min_samples=self._backend.min_samples)
            if len(windows.spans) > 1:
                embedded = embed_windows(self.embed, windows, mean=unit_mean)
                return Pending(_Begun(self._embedded(result, embedded)), None)
            samples = next(windows.read())
            return Pending(_Begun(result, windows.recording_of(find_peak(samples))), samples)
        except MrlspkError as error:
            return Pending(_Begun(replace(result, error=error)), None)

    def finish(self, begun: _Begun, vector: Vector | None) -> EmbeddedAudio:
        """Return the result of a recording, with the vector (embed_dim,) if one was awaited."""
        if begun.with_vector is None or vector is None:
            return begun.result
        try:
            return self._embedded(begun.result, begun.with_vector(vector))
        except DataError as error:
            return replace(begun.result, error=error)

    def _embedded(self, result: EmbeddedAudio, embedded: EmbeddedRecording) -> EmbeddedAudio:
        check_direction(embedded.vector, _name(result))
        return replace(
            result,
            embedding=unit_prefix(embedded.vector, self._dim),
            seconds=embedded.seconds,
            speech_seconds=embedded.speech_seconds,
            warnings=embedded.warnings,
        )


def _name(result: EmbeddedAudio) -> str:
    """Return the name of a recording in messages."""
    return f"audio[{result.index}]" if result.path is None else result.path
