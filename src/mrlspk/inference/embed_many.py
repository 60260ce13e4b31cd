"""Embed audio of any kind, one after the other: files, arrays and tensors, with an error for each that fails."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.data.audio.channels import check_channel
from mrlspk.data.audio.source import Channel, as_source, take_channel
from mrlspk.data.speech.detector import SpeechDetector
from mrlspk.errors import DataError, MrlspkError
from mrlspk.inference.backend import Backend
from mrlspk.inference.decoding import Decoded, OnBlock, OnPart, decode
from mrlspk.inference.embed_stream import embed_batch, usual_batch_seconds
from mrlspk.inference.embedding import unit_prefix
from mrlspk.inference.embedding_checks import check_direction
from mrlspk.inference.pipeline import BATCHES_AHEAD, Limits, Pipeline, Steps
from mrlspk.inference.recording import EmbeddedRecording, TooShort
from mrlspk.inference.samples import Samples, check_samples, decode_samples
from mrlspk.inference.window_embedding import unit_mean
from mrlspk.inference.windows import Windows, keep_speech
from mrlspk.inference.workers import workers_for

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

    def decode(self, audio: Audio, name: str, *, model_rate: int, on_block: OnBlock | None = None) -> Decoded:
        """Decode a recording; ``on_block`` is called for each block of a file.

        Raises:
            DataError: If it cannot be read.
        """
        if isinstance(audio, str | PathLike):
            source = take_channel(as_source(Path(audio)), self.channel)
            return decode(source, sample_rate=model_rate, speech=self.detector, on_block=on_block)
        check_channel(self.channel, 1, name)
        return decode_samples(audio, name, rate=self.sample_rate, model_rate=model_rate, speech=self.detector)


class DecodeOne(Protocol):
    """Decode one recording."""

    def __call__(self, *, model_rate: int, on_block: OnBlock) -> Decoded: ...  # noqa: D102


def embed_many(
    backend: Backend, audio: Iterable[Audio], *, dim: int, decoding: Decoding, batch_size: int
) -> Iterator[EmbeddedAudio]:
    """Yield the embedding of each recording, in order, reading a few ahead; see `SpeakerEncoder.embed_many`."""

    def decode_one(given: _Given, on_block: OnBlock, _: OnPart) -> Decoded:
        return given.decode(model_rate=backend.sample_rate, on_block=on_block)

    def cut(_: _Given, decoded: Decoded) -> Windows:
        kept = keep_speech(decoded, min_samples=backend.min_samples)
        return kept.cut(max_seconds=MAX_SECONDS, min_samples=backend.min_samples)

    steps = Steps[_Given, MrlspkError](
        decode=decode_one,
        cut=cut,
        embed=partial(embed_batch, backend),
        mean=unit_mean,
        same_audio=lambda *_: False,
        failures=MrlspkError,
    )
    given = (_Given.take(index, each, decoding) for index, each in enumerate(audio))
    seconds = usual_batch_seconds(backend)
    limits = Limits(batch_size, seconds, most_begun=1 if batch_size == 1 else BATCHES_AHEAD * batch_size)
    pipeline = Pipeline(given, steps, workers_for(backend), limits, sample_rate=backend.sample_rate)
    with closing(pipeline.results()) as results:
        for each, outcome in results:
            if not isinstance(outcome, TooShort):  # no recording has a crop that it must fill
                yield _result(each, outcome, dim)


@dataclass(frozen=True, eq=False)
class _Given:
    """A recording as it was given.

    Attributes:
        index: From 0.
        path: As given; None for an array or tensor.
        decode: Decodes it, in any thread.
    """

    index: int
    path: str | None
    decode: DecodeOne

    @classmethod
    def take(cls, index: int, audio: Audio, decoding: Decoding) -> "_Given":
        """Take a recording now: of an array or tensor, which may change later, a copy."""
        if isinstance(audio, str | PathLike):
            return cls(index, str(audio), partial(decoding.decode, audio, str(audio)))
        name = f"audio[{index}]"
        try:
            check_channel(decoding.channel, 1, name)
            audio = check_samples(audio, name)
        except MrlspkError as error:
            return cls(index, None, partial(_fail, error))
        return cls(index, None, partial(decoding.decode, audio, name))


def _fail(error: MrlspkError, **_: object) -> Decoded:
    raise error


def _result(given: _Given, outcome: EmbeddedRecording | MrlspkError, dim: int) -> EmbeddedAudio:
    """Return what is known of a recording."""
    result = EmbeddedAudio(given.index, given.path)
    if isinstance(outcome, MrlspkError):
        return replace(result, error=outcome)
    try:
        check_direction(outcome.vector, given.path or f"audio[{given.index}]")
    except DataError as error:
        return replace(result, error=error)
    return replace(
        result,
        embedding=unit_prefix(outcome.vector, dim),
        seconds=outcome.seconds,
        speech_seconds=outcome.speech_seconds,
        warnings=outcome.warnings,
    )
