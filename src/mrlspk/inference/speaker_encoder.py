"""Embed speech from Python: ``mrlspk.load(MODEL)``."""

from os import PathLike
from pathlib import Path

import numpy as np
import torch
import torchaudio
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.data.audio import SAMPLE_RATE, load_audio
from mrlspk.errors import DataError, UsageError
from mrlspk.inference.backend import Backend, check_dims
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.embedding import embed_samples, unit_prefix
from mrlspk.inference.model_file import locate_model
from mrlspk.inference.torch_backend import find_device

MAX_SECONDS = EvaluationConfig().max_seconds

type Audio = str | PathLike[str] | ArrayLike | Tensor


class SpeakerEncoder:
    """Embed speech at unit length, at any width that the model was trained for.

    Args:
        backend: The model, such as a `TorchBackend`.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def dims(self) -> tuple[int, ...]:
        """The widths that the model was trained for, rising."""
        return self._backend.dims

    @property
    def embed_dim(self) -> int:
        """The full width."""
        return self._backend.embed_dim

    def embed(self, audio: Audio, *, dim: int | None = None, sample_rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
        """Return the embedding (dim,) at unit length; cut first, then normalised.

        Args:
            audio: A path, or samples (samples,) in [-1, 1] as an array or tensor.
            dim: Width; the full one by default.
            sample_rate: Of an array or tensor, Hz; a file says its own.

        Raises:
            DataError: If the audio cannot be read, is too short, or gives no embedding.
            UsageError: If the model was not trained for ``dim``.
        """
        width = self._check_dim(dim)
        where = str(audio) if isinstance(audio, str | PathLike) else "audio"
        model_rate = self._backend.sample_rate
        waveform = _waveform(audio, sample_rate, model_rate)
        embedded = embed_samples(self._backend, waveform.numpy(), where, max_seconds=MAX_SECONDS)
        return unit_prefix(embedded.vector, width)

    def similarity(self, a: Audio, b: Audio, *, dim: int | None = None, sample_rate: int = SAMPLE_RATE) -> float:
        """Return the cosine, in [-1, 1], of the embeddings of two recordings."""
        first, second = (self.embed(audio, dim=dim, sample_rate=sample_rate) for audio in (a, b))
        cosine = float(first.astype(np.float64) @ second.astype(np.float64))
        return min(1.0, max(-1.0, cosine))  # vectors rounded to float32 can be longer than 1

    def _check_dim(self, dim: int | None) -> int:
        try:
            return check_dims(self.dims, None if dim is None else (dim,))[-1]
        except UsageError as error:  # whose remedy is a flag of the command line
            raise UsageError(
                error.what, parameter="dim", fix=f"Its widths: {', '.join(map(str, self.dims))}."
            ) from error


def load(
    model: str | PathLike[str], *, cache_dir: Path | None, mirror: str | None = None, device: str = "auto"
) -> SpeakerEncoder:
    """Return the encoder in a model file; see `mrlspk.load`.

    Args:
        model: A path, or a name that ``mrlspk pretrained list`` shows.
        cache_dir: Folder of fetched models; None: only paths can be loaded.
        mirror: URL or folder with copies of the published files.
        device: auto, cpu, cuda, cuda:N or mps.

    Raises:
        UsageError: If no device is called ``device``.
        MissingDependencyError: If this machine has no such device.
        CheckpointError: If the file is no model, or does not fit its own configuration.
        DownloadError: If a published model cannot be fetched.
    """
    find_device(device)  # before anything is downloaded
    file = locate_model(str(model), cache_dir=cache_dir, mirror=mirror)
    return SpeakerEncoder(load_backend(file, device=device).backend)


def _waveform(audio: Audio, sample_rate: int, model_rate: int) -> Tensor:
    """Return (samples,) at the sample rate of the model."""
    if isinstance(audio, str | PathLike):
        return load_audio(Path(audio), sample_rate=model_rate)
    samples = audio.detach().cpu() if isinstance(audio, Tensor) else _from_array(audio)
    if samples.ndim != 1 or not samples.is_floating_point():
        raise _no_samples(f"{samples.dtype} of shape {tuple(samples.shape)}")
    if not torch.isfinite(samples).all():
        raise DataError("holds values that are not finite", "audio")
    resampled: Tensor = torchaudio.functional.resample(samples.float(), sample_rate, model_rate)
    return resampled


def _from_array(audio: ArrayLike) -> Tensor:
    """Return a copy, which torch accepts whatever the layout, byte order or write protection of the array."""
    try:
        values = np.asarray(audio)
    except ValueError as error:  # rows of different lengths
        raise _no_samples(f"a {type(audio).__name__} that is no array") from error
    if not np.issubdtype(values.dtype, np.floating):
        raise _no_samples(f"{type(audio).__name__} of {values.dtype}")
    return torch.from_numpy(values.astype(np.float32, order="C"))


def _no_samples(found: str) -> DataError:
    return DataError(
        f"expected floating-point samples (samples,), got {found}",
        "audio",
        "Give one channel in [-1, 1]: integers divided by their full scale, channels averaged.",
    )
