"""The Python door: ``mrlspk.load(MODEL)``."""

from os import PathLike
from pathlib import Path

import numpy as np
import torch
import torchaudio
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mrlspk.config.environment import Environment
from mrlspk.data.audio import SAMPLE_RATE, load_audio
from mrlspk.encoding.device import find_device
from mrlspk.encoding.embedding import check_length, embed_batch
from mrlspk.encoding.locate import locate_model
from mrlspk.encoding.widths import check_dims
from mrlspk.errors import DataError
from mrlspk.models.checkpoint import load_model
from mrlspk.models.encoder import Encoder
from mrlspk.models.head import truncate

MAX_SECONDS = 60.0

type Audio = str | PathLike[str] | ArrayLike | Tensor


class SpeakerEncoder:
    """Speech to unit-length embeddings, at any width that the model was trained for.

    Args:
        encoder: The network, in evaluation mode, on the device where it is to run.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @property
    def dims(self) -> tuple[int, ...]:
        """The widths that the model was trained for, rising."""
        return self._encoder.dims

    @property
    def embed_dim(self) -> int:
        """The full width."""
        return self._encoder.embed_dim

    def embed(self, audio: Audio, *, dim: int | None = None, sample_rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
        """Return the embedding (dim,) at unit length; cut first, then normalised.

        Args:
            audio: A path, or samples (samples,) in [-1, 1] as an array or tensor.
            dim: Width; the full one by default.
            sample_rate: Of an array or tensor, Hz; a file says its own.

        Raises:
            DataError: If the audio cannot be read or is too short.
            UsageError: If the model was not trained for ``dim``.
        """
        width = check_dims(self.dims, None if dim is None else (dim,))[-1]
        waveform = _waveform(audio, sample_rate)
        check_length(waveform, self._encoder.min_samples, str(audio) if isinstance(audio, str | PathLike) else "audio")
        embedding = embed_batch(self._encoder, waveform.unsqueeze(0), max_seconds=MAX_SECONDS)
        unit: NDArray[np.float32] = truncate(embedding[0], width).numpy()
        return unit

    def similarity(self, a: Audio, b: Audio, *, dim: int | None = None, sample_rate: int = SAMPLE_RATE) -> float:
        """Return the cosine, in [-1, 1], of the embeddings of two recordings."""
        first, second = (self.embed(audio, dim=dim, sample_rate=sample_rate) for audio in (a, b))
        return float(first @ second)


def load(model: str | PathLike[str], *, device: str = "auto") -> SpeakerEncoder:
    """Return the encoder that a checkpoint's path or a published name means.

    Raises:
        CheckpointError: If the file is no checkpoint or does not fit its own configuration.
        DownloadError: If a published model cannot be fetched.
    """
    environment = Environment()
    path = locate_model(str(model), cache_dir=environment.cache_dir, mirror=environment.mirror)
    return SpeakerEncoder(load_model(path).encoder.to(find_device(device)))


def _waveform(audio: Audio, sample_rate: int) -> Tensor:
    if isinstance(audio, str | PathLike):
        return load_audio(Path(audio))
    samples = torch.as_tensor(np.asarray(audio) if not isinstance(audio, Tensor) else audio.detach().cpu())
    if samples.ndim != 1 or not samples.is_floating_point():
        raise DataError(
            f"expected floating-point samples (samples,), got {samples.dtype} of shape {tuple(samples.shape)}",
            "audio",
            "Give one channel in [-1, 1]: integers divided by their full scale, channels averaged.",
        )
    if not torch.isfinite(samples).all():
        raise DataError("holds values that are not finite", "audio")
    resampled: Tensor = torchaudio.functional.resample(samples.float(), sample_rate, SAMPLE_RATE)
    return resampled
