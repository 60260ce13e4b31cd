"""Load audio as a mono waveform: whole, a range, or a random crop; read its length."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mrlspk.data.audio.reader import SAMPLE_RATE, AudioReader, open_audio
from mrlspk.data.audio.source import AudioSource

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class AudioInfo:
    """What audio is: its own sample rate in Hz, its channels, and its exact length."""

    sample_rate: int
    channels: int
    seconds: float


def load_audio(
    audio: AudioSource | str | Path,
    *,
    sample_rate: int = SAMPLE_RATE,
    start_seconds: float = 0.0,
    seconds: float | None = None,
) -> "Tensor":
    """Return a mono float32 waveform (samples,) at ``sample_rate``.

    A range is decoded without what follows it, and is shorter than asked for if the audio ends earlier.

    Args:
        audio: A source or a file, in any format that libsndfile or FFmpeg reads.
        sample_rate: Hz of the waveform; other audio is resampled.
        start_seconds: Where the range begins, from the beginning of the source.
        seconds: Length of the range; None for everything that follows.

    Raises:
        DataError: If the audio is absent, empty, cut short or not audio, has a name that is not UTF-8, holds values
            that are not numbers, or ends before ``start_seconds``.
    """
    with open_audio(audio, sample_rate=sample_rate) as reader:
        return _read(reader, start_seconds=start_seconds, seconds=seconds)


def probe_audio(audio: AudioSource | str | Path) -> AudioInfo:
    """Return what the header says; where it does not state the length, the packets are counted.

    Raises:
        DataError: If the audio is absent, empty, cut short or not audio, or its name is not UTF-8.
    """
    with open_audio(audio) as reader:
        return AudioInfo(reader.original_rate, reader.channels, reader.seconds)


def random_crop(
    audio: AudioSource | Path, n_samples: int, rng: np.random.Generator, *, sample_rate: int = SAMPLE_RATE
) -> "Tensor":
    """Return (n_samples,) from a random place, decoding little else; shorter audio is repeated.

    Raises:
        DataError: If the audio cannot be read.
    """
    place = rng.random()
    with open_audio(audio, sample_rate=sample_rate, ranges=True) as reader:
        seconds = n_samples / sample_rate
        spare_seconds = reader.seconds - seconds
        if spare_seconds > 0:
            part = _read(reader, start_seconds=place * spare_seconds, seconds=seconds)
            if part.numel() == n_samples:
                return part
        whole = _read(reader)
    start = int(place * max(whole.numel() - n_samples + 1, 0))
    return repeat_to(whole[start:], n_samples)


def repeat_to(waveform: "Tensor", n_samples: int) -> "Tensor":
    """Return the first ``n_samples`` of ``waveform`` (samples,) repeated endlessly."""
    import torch

    n_whole, n_left = divmod(n_samples, waveform.numel())
    return torch.cat([waveform] * n_whole + [waveform[:n_left]])  # a third of the time of `Tensor.repeat`


def _read(reader: AudioReader, *, start_seconds: float = 0.0, seconds: float | None = None) -> "Tensor":
    import torch  # embedding an exported model does not need it

    blocks = list(reader.blocks(start_seconds=start_seconds, seconds=seconds))
    return torch.from_numpy(blocks[0] if len(blocks) == 1 else np.concatenate(blocks))
