"""Embed speech from Python: ``mrlspk.load(MODEL)``."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache, partial
from os import PathLike
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mrlspk.config.base import ChannelChoice, channel_number
from mrlspk.config.evaluation import EvaluationConfig, SpeechMode
from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.data.audio.source import Channel
from mrlspk.data.speech.build import build_detector
from mrlspk.errors import UsageError
from mrlspk.inference.backend import Backend, BackendName, check_dims
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.embed_many import Audio, Decoding, EmbeddedAudio, embed_many
from mrlspk.inference.model_file import locate_model
from mrlspk.inference.samples import as_array, is_tensor
from mrlspk.inference.windows import keep_speech
from mrlspk.metrics.similarity import cosine

log = logging.getLogger("mrlspk.encoding")

BATCH_SIZE = EvaluationConfig().batch_size
BACKENDS: tuple[str, ...] = get_args(BackendName.__value__)
UNIT_TOLERANCE = 0.01  # of the length of an embedding, which may have been stored in half precision


class SpeakerEncoder:
    """Embed speech at unit length, at any width that the model was trained for.

    Args:
        backend: The model, such as a `TorchBackend`.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __repr__(self) -> str:
        return f"SpeakerEncoder(dims={self.dims})"

    @property
    def dims(self) -> tuple[int, ...]:
        """The widths that the model was trained for, rising."""
        return self._backend.dims

    @property
    def embed_dim(self) -> int:
        """The full width."""
        return self._backend.embed_dim

    @property
    def backend(self) -> Backend:
        """The model itself, for code that embeds in its own way."""
        return self._backend

    @property
    def fingerprint(self) -> str:
        """What identifies the model: equal fingerprints mean equal embeddings, up to rounding."""
        return self._backend.fingerprint

    def embed(
        self,
        audio: Audio,
        *,
        dim: int | None = None,
        sample_rate: int = SAMPLE_RATE,
        speech: SpeechMode = "auto",
        channel: ChannelChoice = "mix",
    ) -> NDArray[np.float32]:
        """Return the embedding (dim,) of a recording at unit length: cut first, then normalised.

        Warnings go to the logger ``mrlspk.encoding``; `embed_many` returns them.

        Args:
            audio: A path, or samples (samples,) in [-1, 1] as an array or tensor.
            dim: Width; the full one by default.
            sample_rate: Of an array or tensor, Hz: 16,000 unless it is given. A file states its own.
            speech: Embed the speech that a detector finds (``auto``, ``silero``), or ``all`` of the recording.
            channel: Of a file: ``mix`` for the average of all, ``left``, ``right``, or a number from 0.

        Example:
            >>> encoder.embed("a.wav", dim=64)
            >>> samples, rate = soundfile.read("a.wav")
            >>> encoder.embed(samples, sample_rate=rate)

        Raises:
            DataError: If the audio cannot be read, is too short, or gives no embedding.
            UsageError: If the model was not trained for ``dim``, or ``speech`` or ``channel`` is unknown.
            MissingDependencyError: If the detector is not installed.
        """
        (found,) = self.embed_many([audio], dim=dim, sample_rate=sample_rate, speech=speech, channel=channel)
        if found.warnings:
            log.warning("%s: %s", found.path or "audio", ", ".join(found.warnings))
        return found.unwrap()

    def embed_many(
        self,
        audio: Iterable[Audio],
        *,
        dim: int | None = None,
        sample_rate: int = SAMPLE_RATE,
        speech: SpeechMode = "auto",
        channel: ChannelChoice = "mix",
        batch_size: int = BATCH_SIZE,
    ) -> Iterator[EmbeddedAudio]:
        """Return an iterator over the embeddings of recordings, in order.

        A recording that cannot be embedded has its error in its result; the others are embedded all the same. The
        recordings are read while the results are taken, up to four batches ahead, and may be endless.

        Args:
            audio: Recordings as `embed` takes them; the rows of an array or tensor are recordings too.
            dim: Width; the full one by default.
            sample_rate: Of arrays and tensors, Hz.
            speech: As of `embed`.
            channel: As of `embed`.
            batch_size: Recordings of equal length embedded together. With 1, each result comes before the next
                recording is read.

        Raises:
            UsageError: If the model was not trained for ``dim``, or ``audio``, ``speech``, ``channel`` or
                ``batch_size`` is none.
            MissingDependencyError: If the detector is not installed.
        """
        _check_several(audio)
        if batch_size < 1:
            raise UsageError(f"expected 1 or more, got {batch_size}", parameter="batch_size")
        decoding = Decoding(_detector(_speech(speech)), _channel(channel), _rate(sample_rate))
        return embed_many(self._backend, audio, dim=self._width(dim), decoding=decoding, batch_size=batch_size)

    def similarity(
        self,
        a: Audio | EmbeddedAudio,
        b: Audio | EmbeddedAudio,
        *,
        dim: int | None = None,
        sample_rate: int = SAMPLE_RATE,
        speech: SpeechMode = "auto",
        channel: ChannelChoice = "mix",
    ) -> float:
        """Return the cosine, in [-1, 1], of two recordings or embeddings.

        An array is an embedding if it has a width of the model and unit length, and is too short to be audio.
        `mrlspk.cosine` compares vectors of any length.

        Args:
            a: A recording as `embed` takes it, its embedding, or a result of `embed_many`.
            b: Likewise.
            dim: Compare at this width; the full one by default.
            sample_rate: As of `embed`.
            speech: As of `embed`.
            channel: As of `embed`.

        Raises:
            DataError: If a recording cannot be embedded, or a result has an error.
            MetricError: If the embeddings have different widths, or are narrower than ``dim``.
            UsageError: As of `embed`.
        """
        self._width(dim)
        embed = partial(self.embed, dim=dim, sample_rate=sample_rate, speech=speech, channel=channel)
        first, second = self._side(a, embed), self._side(b, embed)
        return cosine(first, second, dim=dim)

    def speech_seconds(
        self,
        audio: Audio,
        *,
        sample_rate: int = SAMPLE_RATE,
        speech: Literal["auto", "silero"] = "auto",
        channel: ChannelChoice = "mix",
    ) -> float:
        """Return the length of the speech in a recording, in seconds, without embedding it.

        Args:
            audio: As of `embed`.
            sample_rate: As of `embed`.
            speech: The detector.
            channel: As of `embed`.

        Raises:
            DataError: If the audio cannot be read.
            UsageError: If ``speech`` or ``channel`` is unknown.
            MissingDependencyError: If the detector is not installed.
        """
        detector = _detector(_speech(speech))
        if detector is None:
            raise UsageError("expected auto or silero, got all", parameter="speech")
        decoding = Decoding(detector, _channel(channel), _rate(sample_rate))
        name = str(audio) if isinstance(audio, str | PathLike) else "audio"
        decoded = decoding.decode(audio, name, model_rate=self._backend.sample_rate)
        kept = keep_speech(decoded, min_samples=self._backend.min_samples)
        return kept.seconds if kept.found else 0.0

    def _width(self, dim: int | None) -> int:
        """Return the width to cut to.

        Raises:
            UsageError: If the model was not trained for it.
        """
        if dim is not None and not isinstance(dim, int | np.integer):
            raise UsageError(f"expected one of {', '.join(map(str, self.dims))}, got {dim!r}", parameter="dim")
        try:
            return check_dims(self.dims, None if dim is None else (dim,))[-1]
        except UsageError as error:  # whose remedy is a parameter of other functions
            more = "" if len(self.dims) > 1 else " `mrlspk rotate` gives a model more."
            fix = f"Its widths: {', '.join(map(str, self.dims))}.{more}"
            raise UsageError(error.what, parameter="dim", fix=fix) from error

    def _side(self, side: Audio | EmbeddedAudio, embed: Callable[[Audio], NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the embedding of one side of a comparison.

        Raises:
            MrlspkError: If it has none.
        """
        if isinstance(side, EmbeddedAudio):
            return side.unwrap()
        if isinstance(side, str | PathLike):
            return embed(side)
        values = as_array(side, "audio")
        return values.astype(np.float32) if self._is_embedding(values) else embed(side)

    def _is_embedding(self, values: NDArray[np.generic]) -> bool:
        """Return whether an array is an embedding of the model, and cannot be audio."""
        if values.ndim != 1 or values.dtype.kind != "f" or len(values) not in self.dims:
            return False
        return len(values) < self._backend.min_samples and abs(np.linalg.norm(values) - 1) < UNIT_TOLERANCE


def load(
    model: str | PathLike[str],
    *,
    cache_dir: Path | None,
    mirror: str | None = None,
    device: str = "auto",
    backend: BackendName = "torch",
    trust_code: bool = False,
) -> SpeakerEncoder:
    """Return the encoder in a model file; see `mrlspk.load`.

    Args:
        model: A path, or a name that ``mrlspk pretrained list`` shows.
        cache_dir: Folder of fetched models; None: only paths can be loaded.
        mirror: URL or folder with copies of the published files.
        device: auto, cpu, cuda, cuda:N or mps.
        backend: What runs the network of a checkpoint: torch, onnxruntime, openvino, or auto for the fastest.
        trust_code: Run the program in a TorchScript model.

    Raises:
        UsageError: If ``model``, ``device`` or ``backend`` is none.
        MissingDependencyError: If this machine has no such device.
        CheckpointError: If the file is no model, or does not fit its own configuration.
        DownloadError: If a published model cannot be fetched.
    """
    if not isinstance(model, str | PathLike) or not str(model):
        fix = "`mrlspk pretrained list` shows the names of models."
        raise UsageError(f"expected the path or the name of a model, got {model!r}", fix=fix, parameter="model")
    if backend not in BACKENDS:
        raise UsageError(f"expected {', '.join(BACKENDS)}, got {backend!r}", parameter="backend")
    if device not in {"auto", "cpu"}:
        from mrlspk.inference.torch_device import find_device

        find_device(device)  # before anything is downloaded
    file = replace(locate_model(str(model), cache_dir=cache_dir, mirror=mirror), trust_code=trust_code)
    return SpeakerEncoder(load_backend(file, device=device, backend=backend, cache_dir=cache_dir).backend)


_detector = cache(build_detector)  # Silero VAD takes a moment to load


def _rate(sample_rate: int) -> int:
    if not isinstance(sample_rate, int | float | np.number):
        raise UsageError(f"expected Hz, such as 16000, got {sample_rate!r}", parameter="sample_rate")
    return sample_rate


def _check_several(audio: Iterable[Audio]) -> None:
    """Refuse one recording in place of several: a path would be taken letter by letter."""
    is_path = isinstance(audio, str | bytes | PathLike)
    is_waveform = (is_tensor(audio) and audio.ndim == 1) or (
        isinstance(audio, np.ndarray) and audio.ndim == 1 and audio.dtype.kind in "fiu"
    )
    if is_path or is_waveform:
        what = f"expected several recordings, got one {'path' if is_path else 'waveform'}"
        raise UsageError(what, fix="Give a list of them.", parameter="audio")


def _speech(mode: SpeechMode) -> SpeechMode:
    if mode not in get_args(SpeechMode):
        raise UsageError(f"expected auto, silero or all, got {mode!r}", parameter="speech")
    return mode


def _channel(choice: ChannelChoice) -> Channel:
    try:
        channel: Channel = channel_number(choice)
    except ValueError as error:
        raise UsageError(str(error), parameter="channel") from error
    return channel
