"""The Python door: ``mrlspk.load(MODEL)``."""

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
from mrlspk.inference.batching import check_direction, check_length, embed_batch
from mrlspk.inference.device import find_device
from mrlspk.inference.loading import load_located
from mrlspk.inference.locate import locate_model
from mrlspk.inference.widths import check_dims
from mrlspk.models.encoder import Encoder
from mrlspk.models.head import truncate

MAX_SECONDS = EvaluationConfig().max_seconds

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
            DataError: If the audio cannot be read, is too short, or gives no embedding.
            UsageError: If the model was not trained for ``dim``.
        """
        width = self._check_dim(dim)
        where = str(audio) if isinstance(audio, str | PathLike) else "audio"
        waveform = _waveform(audio, sample_rate)
        check_length(waveform, self._encoder.min_samples, where)
        embedding = embed_batch(self._encoder, waveform.unsqueeze(0), max_seconds=MAX_SECONDS)[0]
        check_direction(embedding, where)
        unit: NDArray[np.float32] = truncate(embedding, width).numpy()
        return unit

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
    model: str | PathLike[str], *, cache_dir: Path, mirror: str | None = None, device: str = "auto"
) -> SpeakerEncoder:
    """Return the encoder of a checkpoint; see `mrlspk.load`.

    Args:
        model: A path, or a name that ``mrlspk pretrained list`` shows.
        cache_dir: Folder of fetched models.
        mirror: URL or folder with copies of the published files.
        device: auto, cpu, cuda, cuda:N or mps.

    Raises:
        UsageError: If no device is called ``device``.
        MissingDependencyError: If this machine has no such device.
        CheckpointError: If the file is no checkpoint or does not fit its own configuration.
        DownloadError: If a published model cannot be fetched.
    """
    target = find_device(device)
    file = locate_model(str(model), cache_dir=cache_dir, mirror=mirror)
    return SpeakerEncoder(load_located(file).encoder.to(target))


def _waveform(audio: Audio, sample_rate: int) -> Tensor:
    if isinstance(audio, str | PathLike):
        return load_audio(Path(audio))
    samples = audio.detach().cpu() if isinstance(audio, Tensor) else _from_array(audio)
    if samples.ndim != 1 or not samples.is_floating_point():
        raise _no_samples(f"{samples.dtype} of shape {tuple(samples.shape)}")
    if not torch.isfinite(samples).all():
        raise DataError("holds values that are not finite", "audio")
    resampled: Tensor = torchaudio.functional.resample(samples.float(), sample_rate, SAMPLE_RATE)
    return resampled


def _from_array(audio: ArrayLike) -> Tensor:
    """Return a copy, which torch takes whatever the array's layout, byte order or protection."""
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
